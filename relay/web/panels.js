/** The side of the page that is not the conversation: client code, event log, theme. */
import { byId, el } from "./dom.js";
import { CLIENTS, snippet } from "./snippets.js";
import { clock } from "./transcript-view.js";

const TABLE_EVERY_MS = 200;

/** Tabs as in the ARIA authoring practices: arrows move, one tab stop. @param {() => object} screen what to show code for */
export function codePanel(screen) {
  const tabs = Object.entries(CLIENTS).map(([client, label]) => {
    const tab = el("button.tab", label);
    Object.assign(tab, { type: "button", id: `tab-${client}`, role: "tab" });
    tab.dataset.client = client;
    tab.setAttribute("aria-controls", "snippet-panel");
    return tab;
  });
  let current = 0;
  const draw = () => {
    byId("snippet").textContent = snippet(tabs[current].dataset.client, screen());
    byId("snippet-panel").setAttribute("aria-labelledby", tabs[current].id);
    tabs.forEach((tab, at) => {
      tab.setAttribute("aria-selected", String(at === current));
      tab.tabIndex = at === current ? 0 : -1;
    });
  };
  const choose = (at) => {
    current = (at + tabs.length) % tabs.length;
    draw();
    tabs[current].scrollIntoView({ block: "nearest", inline: "nearest" });
  };
  tabs.forEach((tab, at) => tab.addEventListener("click", () => choose(at)));
  byId("tabs").replaceChildren(...tabs);
  byId("tabs").addEventListener("keydown", (event) => {
    const target = { ArrowRight: current + 1, ArrowLeft: current - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    choose(target);
    tabs[current].focus();
  });
  byId("copy").addEventListener("click", async () => {
    byId("copied").textContent = (await copied(byId("snippet"))) ? "Copied" : "Press Ctrl+C: the code is selected";
    setTimeout(() => (byId("copied").textContent = ""), 3_000);
  });
  draw();
  return draw;
}

/** The clipboard exists in secure contexts only; elsewhere the text is selected for the user. */
async function copied(node) {
  try {
    await navigator.clipboard.writeText(node.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(node);
    return false;
  }
}

/** @param {() => import("./eventlog.js").EventLog} log @returns {() => void} draw */
export function eventPanel(log) {
  const drawer = byId("drawer");
  let timer;
  const rows = () => {
    timer = undefined;
    byId("events").replaceChildren(...log().rows.toReversed().map(({ from, type, at, event, frames }) => {
      const { type: _type, ...rest } = event;
      const row = el("tr", el("td", clock(at)), el("td", from === "page" ? "↑ page" : "↓ relay"),
        el("td", frames > 1 ? `${type} × ${frames}` : type), el("td", JSON.stringify(rest).slice(0, 400)));
      row.className = from;
      return row;
    }));
  };
  const draw = () => {
    byId("event-count").textContent = String(log().total);
    if (drawer.open) timer ??= setTimeout(rows, TABLE_EVERY_MS);
  };
  drawer.addEventListener("toggle", draw);
  byId("download").addEventListener("click", () => {
    const link = el("a");
    link.href = URL.createObjectURL(new Blob([log().toJson()], { type: "application/json" }));
    link.download = "voice-relay-events.json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });
  return draw;
}

/** System, light, dark, in turn; remembered where the browser lets us. */
export function themeSwitch() {
  const themes = ["system", "light", "dark"];
  const apply = (theme) => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    byId("theme-name").textContent = theme;
    byId("theme").setAttribute("aria-label", `Theme: ${theme}`);
  };
  let theme = stored() ?? "system";
  apply(theme);
  byId("theme").addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    apply(theme);
    try {
      localStorage.setItem("theme", theme);
    } catch {
      // Storage may be forbidden; then the choice lasts as long as the page.
    }
  });

  function stored() {
    try {
      const value = localStorage.getItem("theme");
      return themes.includes(value) ? value : undefined;
    } catch {
      return undefined;
    }
  }
}
