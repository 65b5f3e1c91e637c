/** Shows a Transcript: changed entries only, scrolled along unless the reader has scrolled up, announced when final. */
import { byId, el } from "./dom.js";

const NEAR_THE_END_PX = 80;

export class TranscriptView {
  constructor() {
    this.list = byId("entries");
    this.scroller = byId("transcript");
    this.announcer = byId("announcer");
    this.shown = new Map();
    this.following = true;
    this.scroller.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = this.scroller;
      this.following = scrollHeight - scrollTop - clientHeight < NEAR_THE_END_PX;
    });
    new ResizeObserver(() => this.#follow()).observe(this.scroller);
  }

  /** @param {object[]} entries */
  draw(entries) {
    byId("empty").hidden = entries.length > 0;
    const keys = new Set(entries.map((entry) => entry.key));
    for (const [key, { node }] of this.shown) {
      if (keys.has(key)) continue;
      node.remove();
      this.shown.delete(key);
    }
    entries.forEach((entry, at) => this.#place(entry, at));
    // Words of a turn may still grow until something follows it.
    entries.forEach((entry, at) => (entry.kind !== "user" || at < entries.length - 1) && this.#announce(entry));
    this.#follow();
  }

  #follow() {
    if (this.following) this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  #place(entry, at) {
    let shown = this.shown.get(entry.key);
    if (!shown) {
      shown = { node: el("li"), version: 0, said: "" };
      this.shown.set(entry.key, shown);
    }
    if (this.list.children[at] !== shown.node) this.list.insertBefore(shown.node, this.list.children[at] ?? null);
    if (shown.version === entry.version) return;
    shown.version = entry.version;
    shown.node.className = `entry ${entry.kind} ${entry.state ?? ""} ${entry.tone ?? ""}`;
    shown.node.replaceChildren(el("span.who", who(entry)), el("div.said", ...content(entry)), el("time", clock(entry.at)));
  }

  /** Screen readers hear whole utterances, not every delta. */
  #announce(entry) {
    const shown = this.shown.get(entry.key);
    const said = spoken(entry);
    if (!said || said === shown.said) return;
    shown.said = said;
    this.announcer.append(el("p", said));
    while (this.announcer.childElementCount > 8) this.announcer.firstElementChild.remove();
  }
}

function who(entry) {
  if (entry.kind === "user") return "You";
  if (entry.kind === "model") return "Model";
  return entry.kind === "tool" ? "Tool" : "";
}

function content(entry) {
  if (entry.kind === "tool") return tool(entry);
  if (entry.kind === "note") return [entry.times > 1 ? `${entry.text} (${entry.times} times)` : entry.text];
  if (entry.cut) {
    const heard = entry.text.slice(0, entry.cut.chars).trimEnd();
    const unheard = entry.text.slice(entry.cut.chars).trim();
    return [
      heard && el("span", heard),
      el("span.cut-mark", `interrupted after ${entry.cut.ms.toLocaleString("en")} ms`),
      unheard && el("del.unheard", unheard),
    ];
  }
  if (entry.state === "hearing") return [el("span.waiting", entry.committed ? "transcribing" : "listening")];
  return [entry.text || el("span.waiting", entry.state === "final" ? "(no words recognized)" : "")];
}

function tool({ name, args, result, state, ms, ours }) {
  const source = ours === false ? "answered by the relay" : "answered by this page, demo data";
  return [
    el("div.call", el("code.name", name), el("code", args || "…")),
    result === undefined
      ? el("div.result", el("span.waiting", "running"))
      : el("div.result", el("code", result), el("small", `${state === "failed" ? "failed · " : ""}${Math.round(ms)} ms · ${source}`)),
  ];
}

/** What is read aloud, once an entry will not change any more. */
function spoken(entry) {
  if (entry.kind === "user" && entry.state === "final" && !entry.typed) return entry.text && `You: ${entry.text}`;
  if (entry.kind === "model" && entry.cut) return `Model, interrupted: ${entry.text.slice(0, entry.cut.chars)}`;
  if (entry.kind === "model" && entry.state === "done") return `Model: ${entry.text}`;
  if (entry.kind === "tool" && entry.result !== undefined) return `Tool ${entry.name} answered`;
  return entry.kind === "note" ? entry.text : "";
}

/** @param {number} ms since the call began @returns {string} m:ss.d */
export function clock(ms) {
  const tenths = Math.floor(Math.max(0, ms) / 100);
  return `${Math.floor(tenths / 600)}:${String(Math.floor(tenths / 10) % 60).padStart(2, "0")}.${tenths % 10}`;
}
