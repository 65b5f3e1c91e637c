/**
 * One conversation: the call, the microphone, the loudspeaker and what is known about them. No page: it tells `changed`.
 *
 * status: idle, connecting, connected. activity: none, listening, hearing, thinking, speaking.
 */
import { EventLog } from "./eventlog.js";
import { Call, CallFailed } from "./gateway.js";
import { Latency } from "./latency.js";
import { Microphone } from "./microphone.js";
import { fromBase64, loudness, toBase64 } from "./pcm.js";
import { Speaker } from "./speaker.js";
import { Continuation, isOurs, run } from "./tools.js";
import { Transcript } from "./transcript.js";

/** The relay refuses to commit less than 100 ms; whoever taps the button meant to hold it. */
const MIN_HOLD_MS = 200;

export class Conversation {
  /**
   * @param {{changed: () => void, level: (lane: "you"|"model", level: number) => void, cut: () => void,
   *   ended: (failure: CallFailed) => void, microphoneLost: (error: {name: string}) => void,
   *   cleaned: () => boolean, setColor: (color: string) => boolean}} page
   * @param {() => object} config what session-update should carry at present
   */
  constructor(page, config) {
    this.page = page;
    this.config = config;
    this.status = "idle";
    this.activity = "none";
    this.muted = false;
    this.holding = 0;
    this.log = new EventLog();
    this.transcript = new Transcript();
    this.latency = new Latency();
    this.microphone = new Microphone({
      onChunk: (samples) => this.#captured(samples),
      onLost: () => this.page.microphoneLost({ name: "lost" }),
    });
    this.speaker = new Speaker({
      onStarted: (id, at) => this.#playing(id, at),
      onDrained: () => this.#rest(),
      onLevel: (level) => this.page.level("model", level),
      onFull: () => this.transcript.note("More than ten minutes of speech wait to be played; the rest is dropped.", this.#now(), "warn"),
    });
  }

  get push() {
    return this.config().turnDetection.type === "disabled";
  }

  /** Open the call, with or without a microphone. @param {string} model @param {{microphone: boolean}} options */
  async start(model, { microphone }) {
    if (this.status !== "idle") return;
    this.status = "connecting";
    this.continuation = new Continuation();
    this.responseId = this.unwanted = "";
    this.began ??= performance.now();
    this.page.changed();
    const call = new Call({
      onSend: (event) => this.#logged("page", event),
      onEvent: (event) => this.call === call && this.#received(event),
      onEnd: (failure) => this.call === call && this.#end(failure),
    });
    this.call = call;
    try {
      await this.speaker.start();
      if (microphone) await this.startMicrophone();
      if (this.call !== call) return this.microphone.stop(); // cancelled while the browser asked for permission
      await call.open(model, this.config());
      if (this.call !== call) return;
      this.status = "connected";
      this.transcript.note(`Connected to ${model}`, this.#now());
      this.#rest();
    } catch (error) {
      if (this.call === call) this.#end(error instanceof CallFailed ? error : new CallFailed("page", { message: String(error) }));
    }
  }

  /** A microphone that does not start is told to the page and stops nothing: typing remains. */
  async startMicrophone() {
    try {
      await this.microphone.start(this.page.cleaned());
      this.microphone.mute(this.muted);
    } catch (error) {
      this.microphone.stop();
      this.page.microphoneLost(error);
    }
    this.page.changed();
  }

  stop() {
    if (this.status === "idle") return;
    this.transcript.note("You ended the session", this.#now());
    this.#end(new CallFailed("stopped"));
  }

  mute(muted) {
    this.muted = muted;
    this.microphone.mute(muted);
    this.page.changed();
  }

  /** Tell the relay what has changed in the settings. */
  update(changes) {
    if (this.status === "connected") this.call.send({ type: "session-update", config: changes });
  }

  async type(text) {
    this.transcript.typed(text, this.#now());
    this.latency.began("text", performance.now());
    await this.#interrupt();
    if (this.status !== "connected") return;
    this.call.send({ type: "conversation-item-create", item: { type: "text-message", role: "user", text } });
    this.call.send({ type: "response-create" });
    this.#become("thinking");
  }

  /** Cut the answer that is being given. */
  async stopAnswer() {
    if (this.status !== "connected") return;
    this.call.send({ type: "response-cancel" });
    this.#rest();
    await this.#interrupt();
  }

  hold() {
    if (this.holding || this.status !== "connected" || !this.microphone.open) return;
    if (this.activity === "speaking" || this.activity === "thinking") this.stopAnswer();
    this.call.send({ type: "input-audio-clear" });
    this.holding = performance.now();
    this.#become("hearing");
  }

  release() {
    if (!this.holding) return;
    const heldMs = performance.now() - this.holding;
    this.holding = 0;
    if (this.status !== "connected") return;
    if (heldMs < MIN_HOLD_MS) {
      this.call.send({ type: "input-audio-clear" });
      this.transcript.note("Hold while you talk, then release.", this.#now());
      this.#rest();
      return;
    }
    this.latency.began("push", performance.now());
    this.call.send({ type: "input-audio-commit" });
    this.call.send({ type: "response-create" });
    this.#become("thinking");
  }

  #captured(samples) {
    this.page.level("you", this.muted ? 0 : loudness(samples));
    if (this.status !== "connected" || (this.push && !this.holding)) return;
    this.call.send({ type: "input-audio-append", audio: toBase64(samples) });
  }

  #received(event) {
    const now = performance.now();
    this.#logged("relay", event);
    if (event.responseId && event.responseId === this.unwanted && event.type !== "response-done") return;
    this.latency.apply(event, now, this.config().turnDetection.silenceDurationMs);
    this.transcript.apply(event, this.#now());
    switch (event.type) {
      case "speech-started":
        this.#silence();
        this.#become("hearing");
        break;
      case "speech-stopped":
        this.#become("thinking");
        break;
      case "response-created":
        this.responseId = event.responseId;
        if (this.activity !== "speaking") this.#become("thinking");
        break;
      case "audio-delta":
        this.speaker.play(event.itemId, fromBase64(event.delta));
        break;
      case "function-call-arguments-done":
        this.#tool(event);
        break;
      case "response-done":
        if (this.continuation.finished(event.responseId, event.status)) this.#continue();
        if (this.responseId === event.responseId) this.responseId = "";
        if (this.activity === "thinking" && event.status !== "completed") this.#rest();
        break;
    }
    this.page.changed();
  }

  #tool({ name, callId, responseId, arguments: args }) {
    // Other names are the relay's own tools, shown because the agent allows it; the relay answers them.
    if (!isOurs(name)) return;
    this.continuation.called(responseId);
    const began = performance.now();
    const { ok, output } = run(name, args, { now: new Date(), setColor: this.page.setColor });
    const text = JSON.stringify(output);
    this.transcript.answered(callId, text, ok, performance.now() - began);
    this.call.send({ type: "conversation-item-create", item: { type: "function-call-output", callId, name, output: text } });
    if (this.continuation.answered(responseId)) this.#continue();
  }

  #continue() {
    this.latency.continued(performance.now());
    this.call.send({ type: "response-create" });
  }

  /** The page itself ends the answer: what is still on its way is not wanted any more. */
  #interrupt() {
    this.unwanted = this.responseId;
    return this.#silence();
  }

  /** Stop the loudspeaker at once, and tell the relay how much of each cut item was heard. */
  async #silence() {
    const call = this.call;
    for (const cut of await this.speaker.flush()) {
      call.send({ type: "conversation-item-truncate", itemId: cut.id, contentIndex: 0, audioEndMs: cut.heardMs });
      this.transcript.cut(cut);
      this.page.cut();
    }
    this.page.changed();
  }

  #playing(id, at) {
    this.latency.played(id, at);
    this.#become("speaking");
  }

  #rest() {
    this.#become(this.status === "connected" ? "listening" : "none");
  }

  #become(activity) {
    this.activity = activity;
    this.page.changed();
  }

  #end(failure) {
    this.call.close();
    this.call = undefined;
    this.status = "idle";
    this.holding = 0;
    this.microphone.stop();
    this.speaker.flush();
    this.transcript.ended();
    if (failure.stage === "ended") {
      this.transcript.note(["Session ended", `code ${failure.code}`, failure.message].filter(Boolean).join(" · "), this.#now());
    }
    this.#rest();
    this.page.ended(failure);
  }

  #logged(from, event) {
    this.log.add(from, event, this.#now());
    this.page.changed();
  }

  #now() {
    return performance.now() - (this.began ?? performance.now());
  }
}
