/** Two words for the DOM. Text only ever becomes text nodes: nothing that a model says is markup. */

/** @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);

/** @param {string} tag with classes: "p.hint.small" @param {...(Node|string|null|undefined|false)} children */
export function el(tag, ...children) {
  const [name, ...classes] = tag.split(".");
  const node = document.createElement(name);
  node.classList.add(...classes);
  node.append(...children.filter((child) => child || child === 0));
  return node;
}

/** At most once a frame: events come in bursts, pictures do not need to. @param {() => void} draw */
export function coalesced(draw) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    // A hidden tab gets no animation frames; its transcript should be right when it is looked at again.
    (document.hidden ? queueMicrotask : requestAnimationFrame)(() => {
      waiting = false;
      draw();
    });
  };
}
