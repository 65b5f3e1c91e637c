/** The page: controls in, pictures out. Everything that can be tested without a page lives in the other modules. */
import { Conversation } from "./conversation.js";
import { byId, coalesced } from "./dom.js";
import { callFault, microphoneFault } from "./faults.js";
import { fetchChoices } from "./gateway.js";
import { drawLatency } from "./latency-view.js";
import { codePanel, eventPanel, themeSwitch } from "./panels.js";
import { Scope } from "./scope.js";
import { sessionConfig } from "./snippets.js";
import { DEFINITIONS } from "./tools.js";
import { TranscriptView } from "./transcript-view.js";

const STATES = {
  none: "Not connected", listening: "Listening", hearing: "Hearing you", thinking: "Thinking", speaking: "Speaking",
};

const scope = new Scope(byId("scope"));
const view = new TranscriptView();
const redraw = coalesced(draw);
const talk = new Conversation(
  {
    changed: redraw, level, ended, setColor,
    cut: () => scope.cut(),
    cleaned: () => byId("cleaning").checked,
    microphoneLost: showFault(microphoneFault),
  },
  () => sessionConfig(screen()),
);
const drawCode = codePanel(screen);
const drawEvents = eventPanel(() => talk.log);
let retry = "call";

/** What the controls say at present. */
function screen() {
  return {
    origin: new URL(".", document.baseURI).href.replace(/\/$/, ""),
    model: byId("model").value,
    voice: byId("voice").value.trim(),
    instructions: byId("instructions").value.trim(),
    push: document.querySelector("[name=mode]:checked").value === "push",
    threshold: Number(byId("threshold").value),
    silenceMs: Number(byId("silence").value),
    prefixMs: Number(byId("prefix").value),
    tools: byId("tools").checked ? DEFINITIONS : [],
  };
}

function draw() {
  const { status, activity, microphone, push } = talk;
  const connected = status === "connected";
  document.body.dataset.status = status;
  document.body.dataset.activity = activity;
  byId("state-text").textContent = stateText();
  byId("talk").textContent = { idle: "Start talking", connecting: "Cancel", connected: "End" }[status];
  byId("talk").classList.toggle("primary", status === "idle");
  byId("hold").hidden = !(connected && push);
  byId("hold").disabled = !microphone.open;
  byId("hold").classList.toggle("held", talk.holding > 0);
  // Whoever came in by typing may still want to talk.
  byId("mute").textContent = connected && !microphone.open ? "Use mic" : "Mute";
  byId("mute").disabled = !connected && !microphone.open;
  byId("mute").setAttribute("aria-pressed", String(microphone.open && talk.muted));
  byId("stop").disabled = !connected || (activity !== "speaking" && activity !== "thinking");
  byId("model").disabled = status !== "idle";
  byId("detection").disabled = push;
  byId("settings-note").textContent = connected ? "changes apply at once" : "";
  view.draw(talk.transcript.entries);
  drawLatency(talk.latency);
  drawEvents();
  if (status === "idle") scope.stop();
  else scope.start();
}

function stateText() {
  if (talk.status === "connecting") return "Connecting";
  if (talk.activity !== "listening") return STATES[talk.activity];
  if (!talk.microphone.open) return "Typing only";
  if (talk.muted) return "Muted";
  return talk.push ? "Ready" : STATES.listening;
}

function level(lane, value) {
  scope.add(lane, value);
  if (lane !== "you") return;
  byId("meter").setAttribute("aria-valuenow", String(Math.round(value * 100)));
  byId("meter-fill").style.setProperty("width", `${value * 100}%`);
}

function ended(failure) {
  level("you", 0);
  const fault = callFault(failure);
  if (fault) showFault(() => fault)();
}

function showFault(explain) {
  return (error) => {
    const { title, advice, retry: what } = explain(error);
    retry = what;
    byId("fault-title").textContent = title;
    byId("fault-advice").textContent = advice;
    byId("fault-retry").hidden = false;
    byId("fault-retry").textContent = what === "microphone" ? "Try the microphone again" : "Try again";
    byId("fault").hidden = false;
  };
}

function hideFault() {
  byId("fault").hidden = true;
}

async function start(options) {
  hideFault();
  await talk.start(byId("model").value, options);
}

async function say(text) {
  if (talk.status === "idle") await start({ microphone: false });
  if (talk.status === "connected") talk.type(text);
  return talk.status === "connected";
}

/** @returns {boolean} whether it is a color. The ink on it is chosen by its lightness. */
function setColor(color) {
  if (!CSS.supports("color", color)) return false;
  const paint = document.createElement("canvas").getContext("2d");
  paint.fillStyle = color;
  paint.fillRect(0, 0, 1, 1);
  const [red, green, blue] = paint.getImageData(0, 0, 1, 1).data;
  const light = (0.299 * red + 0.587 * green + 0.114 * blue) / 255;
  document.documentElement.style.setProperty("--accent", color);
  document.documentElement.style.setProperty("--on-accent", light > 0.55 ? "#101417" : "#ffffff");
  return true;
}

function wireControls() {
  byId("talk").addEventListener("click", () => (talk.status === "idle" ? start({ microphone: true }) : talk.stop()));
  byId("mute").addEventListener("click", () => {
    if (talk.microphone.open) talk.mute(!talk.muted);
    else talk.startMicrophone();
  });
  byId("stop").addEventListener("click", () => talk.stopAnswer());
  byId("typing").addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = byId("text").value.trim();
    if (text && (await say(text))) byId("text").value = "";
  });
  for (const button of document.querySelectorAll(".try")) button.addEventListener("click", () => say(button.textContent));
  byId("fault-close").addEventListener("click", hideFault);
  byId("fault-retry").addEventListener("click", () => {
    hideFault();
    if (talk.status === "connected" && retry === "microphone") talk.startMicrophone();
    else if (byId("model").value) start({ microphone: true });
    else offerChoices();
  });
}

/** Hold the button or the space bar. Letting go anywhere, or leaving the window, ends the turn. */
function wirePushToTalk() {
  const hold = byId("hold");
  hold.addEventListener("pointerdown", (event) => {
    hold.setPointerCapture(event.pointerId);
    talk.hold();
  });
  for (const name of ["pointerup", "pointercancel"]) hold.addEventListener(name, () => talk.release());
  addEventListener("blur", () => talk.release());
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !byId("stop").disabled) talk.stopAnswer();
    if (event.key !== " " || !talk.push || talk.status !== "connected" || takesSpace(event.target)) return;
    event.preventDefault();
    if (!event.repeat) talk.hold();
  });
  addEventListener("keyup", (event) => {
    if (event.key !== " " || !talk.holding) return;
    event.preventDefault();
    talk.release();
  });
}

/** Controls in which the space bar already means something. */
function takesSpace(target) {
  return target.id !== "hold" && target.matches("input, textarea, select, button, summary, a");
}

function wireSettings() {
  byId("threshold").addEventListener("input", () => {
    byId("threshold-out").textContent = Number(byId("threshold").value).toFixed(2);
  });
  const changed = (member) => () => {
    drawCode();
    // What was emptied: no instructions are instructions, too; no voice means that it stays as it is.
    talk.update({ [member]: sessionConfig(screen())[member] ?? (member === "instructions" ? "" : undefined) });
    redraw();
  };
  for (const id of ["voice", "instructions", "tools"]) byId(id).addEventListener("change", changed(id));
  for (const id of ["threshold", "silence", "prefix", "mode"]) byId(id).addEventListener("change", changed("turnDetection"));
  byId("settings-form").addEventListener("submit", (event) => event.preventDefault());
  byId("model").addEventListener("change", drawCode);
}

async function offerChoices() {
  const select = byId("model");
  try {
    const choices = await fetchChoices();
    const group = (label, entries) => {
      const node = document.createElement("optgroup");
      node.label = label;
      node.append(...entries.map(({ id, name }) => new Option(name && name !== id ? `${id} · ${name}` : id, id)));
      return node;
    };
    const talkers = choices.models.filter(({ kind }) => kind === "realtime");
    select.replaceChildren(group("Models", talkers));
    if (choices.agents.length) select.append(group("Agents", choices.agents));
    const wanted = new URLSearchParams(location.search).get("model") ?? choices.default;
    if ([...select.options].some(({ value }) => value === wanted)) select.value = wanted;
  } catch (error) {
    select.replaceChildren(new Option("unavailable", ""));
    showFault(callFault)(error);
  }
  drawCode();
}

themeSwitch();
wireControls();
wirePushToTalk();
wireSettings();
draw();
offerChoices();
