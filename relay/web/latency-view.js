/** Shows a Latency: a waterfall for the newest turn, one stacked bar for each of the older ones. */
import { byId, el } from "./dom.js";
import { stages, totalMs } from "./latency.js";

const KINDS = { voice: "spoken", push: "push to talk", text: "typed" };
const SHOWN_TURNS = 8;

let drawn = "";

/** @param {import("./latency.js").Latency} latency */
export function drawLatency(latency) {
  const state = latency.turns.map(({ number, version }) => `${number}.${version}`).join();
  if (state === drawn) return;
  drawn = state;
  const turns = latency.turns.slice(-SHOWN_TURNS).reverse();
  byId("latency-empty").hidden = turns.length > 0;
  // One scale for all, so that turns can be compared at a glance.
  const scale = Math.max(100, ...turns.map((turn) => end(turn)));
  byId("turns").replaceChildren(...turns.map((turn, at) => (at === 0 ? waterfall(turn, scale) : stacked(turn, scale))));
}

function end(turn) {
  const last = stages(turn).at(-1);
  return last ? last.startMs + last.durationMs : 0;
}

function head(turn) {
  const total = totalMs(turn);
  const value = total === undefined ? "…" : `${Math.round(total).toLocaleString("en")} ms`;
  return el("p.turn-head", el("span", `Turn ${turn.number}`, el("small", ` ${KINDS[turn.kind]}`)), el("strong", value));
}

function waterfall(turn, scale) {
  const rows = stages(turn).map((stage) => {
    const label = stage.name === "committed" && turn.silenceMs
      ? el("span", stage.label, el("small", ` incl. ${turn.silenceMs} ms silence`))
      : el("span", stage.label);
    return el("li", label, el("span.track", bar(stage, scale)), el("span.ms", String(Math.round(stage.durationMs))));
  });
  return el("li.turn.newest", head(turn), el("ol.stages", ...rows));
}

function stacked(turn, scale) {
  const bars = stages(turn).map((stage) => bar(stage, scale));
  return el("li.turn", head(turn), el("span.track", ...bars));
}

function bar(stage, scale) {
  const node = el(`span.bar.${stage.name}`);
  node.title = `${stage.label}: ${Math.round(stage.durationMs)} ms`;
  node.style.setProperty("left", `${(stage.startMs / scale) * 100}%`);
  node.style.setProperty("width", `max(2px, ${(stage.durationMs / scale) * 100}%)`);
  return node;
}
