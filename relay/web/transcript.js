/**
 * The conversation as it is shown: a list of entries made of gateway events. Pure; time is an argument.
 *
 * Entry kinds: user {text, state: "hearing"|"interim"|"final", typed}, model {text, state: "speaking"|"done"|"cut", cut},
 * tool {name, args, result, state: "asked"|"done"|"failed", ms, ours}, note {text, tone}. All have `key`, `at`
 * (milliseconds since the call began) and `version`, which grows with every change.
 */
const MAX_ENTRIES = 500;

export class Transcript {
  constructor() {
    /** @type {object[]} */
    this.entries = [];
    this.byKey = new Map();
    this.count = 0;
  }

  /** @param {object} event from the relay @param {number} at */
  apply(event, at) {
    switch (event.type) {
      case "speech-started":
        // Noise that never became a turn leaves nothing behind.
        this.#drop((entry) => entry.state === "hearing" && !entry.committed);
        if (event.itemId) this.#user(event.itemId, at);
        break;
      case "audio-committed":
        if (event.itemId) this.#change(this.#user(event.itemId, at), { committed: true });
        break;
      case "input-transcription-completed": {
        const entry = this.#user(event.itemId, at);
        this.#change(entry, { text: event.transcript.trim(), state: entry.committed ? "final" : "interim" });
        break;
      }
      case "audio-transcript-delta":
      case "text-delta": {
        const entry = this.#model(event, at);
        if (entry.state === "speaking") this.#change(entry, { text: entry.text + event.delta });
        break;
      }
      case "audio-transcript-done":
      case "text-done":
        this.#finishText(event);
        break;
      case "response-created":
        for (const entry of this.entries) if (entry.state === "interim") this.#change(entry, { state: "final" });
        break;
      case "response-done":
        this.#finishResponse(event, at);
        break;
      case "function-call-arguments-delta":
        this.#tool(event, at);
        break;
      case "function-call-arguments-done":
        this.#change(this.#tool(event, at), { name: event.name, args: event.arguments });
        break;
      case "conversation-item-added":
        this.#serverResult(event.item, at);
        break;
      case "error":
        this.note(event.message, at, "bad");
        break;
      case "custom":
        if (event.rawType === "warning") this.note(event.raw?.message ?? event.message ?? "The relay warns.", at, "warn");
        break;
    }
  }

  /** The call is over: nothing more will come of what is still open. */
  ended() {
    this.#drop((entry) => entry.state === "hearing" && !entry.committed);
    for (const entry of this.entries) {
      if (entry.state === "hearing" || entry.state === "interim") this.#change(entry, { state: "final" });
      if (entry.state === "speaking") this.#change(entry, { state: "done" });
    }
  }

  /** The user wrote this. */
  typed(text, at) {
    this.#add({ key: `typed-${this.count}`, kind: "user", text, state: "final", typed: true, committed: true, at });
  }

  /** Something about the call itself. @param {"plain"|"warn"|"bad"} tone */
  note(text, at, tone = "plain") {
    const last = this.entries.at(-1);
    if (last?.kind === "note" && last.text === text) this.#change(last, { times: (last.times ?? 1) + 1 });
    else this.#add({ key: `note-${this.count}`, kind: "note", text, tone, at });
  }

  /** A tool of this page has answered. @param {string} result JSON text */
  answered(callId, result, ok, ms) {
    const entry = this.byKey.get(`call-${callId}`);
    if (entry) this.#change(entry, { result, state: ok ? "done" : "failed", ms });
  }

  /** A reply was cut while it was heard. @param {{id: string, heardMs: number, receivedMs: number}} cut from the speaker */
  cut({ id, heardMs, receivedMs }) {
    const entry = this.byKey.get(`model-${id}`);
    if (!entry || entry.state === "cut") return;
    const chars = entry.heardChars ?? wordBoundary(entry.text, (entry.text.length * heardMs) / (receivedMs || 1));
    this.#change(entry, { state: "cut", cut: { ms: heardMs, chars } });
  }

  #user(itemId, at) {
    return this.byKey.get(`user-${itemId}`)
      ?? this.#add({ key: `user-${itemId}`, kind: "user", text: "", state: "hearing", committed: false, at });
  }

  #model({ itemId, responseId }, at) {
    return this.byKey.get(`model-${itemId}`)
      ?? this.#add({ key: `model-${itemId}`, kind: "model", text: "", state: "speaking", responseId, at });
  }

  #tool({ callId, responseId, name }, at) {
    return this.byKey.get(`call-${callId}`)
      ?? this.#add({ key: `call-${callId}`, kind: "tool", name: name ?? "…", args: "", state: "asked", responseId, at });
  }

  #finishText({ itemId, transcript, text }) {
    const entry = this.byKey.get(`model-${itemId}`);
    const whole = transcript ?? text;
    if (!entry || whole === undefined) return;
    // A relay that cut the reply repeats only the heard part; what was sent before stays visible as unheard.
    const heard = whole.trimEnd();
    if (heard.length < entry.text.trimEnd().length && entry.text.startsWith(heard)) {
      const cut = entry.cut && { ...entry.cut, chars: heard.length };
      this.#change(entry, { heardChars: heard.length, cut });
    } else this.#change(entry, { text: whole });
  }

  #finishResponse({ responseId, status }, at) {
    for (const entry of this.entries) {
      if (entry.responseId !== responseId || entry.state !== "speaking") continue;
      this.#change(entry, { state: "done" });
    }
    if (status === "failed") this.note("The response failed.", at, "bad");
    if (status === "incomplete") this.note("The response is incomplete.", at, "warn");
  }

  /** A tool that the relay ran itself. */
  #serverResult(item, at) {
    if (item?.type !== "function-call-output" && item?.type !== "function_call_output") return;
    const callId = item.callId ?? item.call_id;
    const entry = this.byKey.get(`call-${callId}`);
    if (entry?.state === "asked") {
      this.#change(entry, { result: item.output, state: "done", ms: at - entry.at, ours: false });
    }
  }

  #add(entry) {
    entry.version = 1;
    this.count++;
    this.entries.push(entry);
    this.byKey.set(entry.key, entry);
    if (this.entries.length > MAX_ENTRIES) this.byKey.delete(this.entries.shift().key);
    return entry;
  }

  #change(entry, changes) {
    Object.assign(entry, changes);
    entry.version++;
  }

  #drop(test) {
    for (const entry of this.entries.filter(test)) this.byKey.delete(entry.key);
    this.entries = this.entries.filter((entry) => !test(entry));
  }
}

/** The end of the last word that begins before `position`. */
export function wordBoundary(text, position) {
  if (position <= 0) return 0;
  const found = text.slice(Math.floor(position)).search(/\s|$/);
  return Math.min(text.length, Math.floor(position) + found);
}
