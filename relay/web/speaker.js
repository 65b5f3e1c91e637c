/** The loudspeaker: plays items in order, can be emptied at once, and knows what was heard. */
import { RATE_HZ } from "./pcm.js";

export class Speaker {
  /**
   * @param {{onStarted: (id: string, atMs: number) => void, onDrained: () => void,
   *   onLevel: (level: number) => void, onFull: () => void}} hooks `atMs` is on the clock of performance.now()
   */
  constructor(hooks) {
    this.hooks = hooks;
    this.flushes = new Map();
    this.flushCount = 0;
  }

  /** Needs a user's gesture, as every sound of a page does. */
  async start() {
    if (!this.node) {
      this.context = new AudioContext({ sampleRate: RATE_HZ, latencyHint: "interactive" });
      await this.context.audioWorklet.addModule(new URL("playback.worklet.js", import.meta.url));
      this.node = new AudioWorkletNode(this.context, "playback", { numberOfInputs: 0, outputChannelCount: [1] });
      this.node.port.onmessage = ({ data }) => this.#heard(data);
      this.node.connect(this.context.destination);
    }
    await this.context.resume();
  }

  /** @param {string} id @param {Int16Array} samples */
  play(id, samples) {
    this.node?.port.postMessage({ play: id, samples }, [samples.buffer]);
  }

  /**
   * Silence, now.
   * @returns {Promise<{id: string, heardMs: number, receivedMs: number}[]>} the items that were cut short; exact to the
   *   sample as rendered, less what the output device still had in its buffer
   */
  flush() {
    if (this.context?.state !== "running") return Promise.resolve([]); // nothing is heard, nobody would answer
    return new Promise((resolve) => {
      this.flushes.set(++this.flushCount, resolve);
      this.node.port.postMessage({ flush: this.flushCount });
    });
  }

  get latencyMs() {
    return (this.context?.outputLatency || 0) * 1000;
  }

  #heard(data) {
    if (data.started) {
      const late = (this.context.currentTime - data.at) * 1000;
      this.hooks.onStarted(data.started, performance.now() - late + this.latencyMs);
    } else if (data.drained) this.hooks.onDrained();
    else if (data.level !== undefined) this.hooks.onLevel(data.level);
    else if (data.full) this.hooks.onFull();
    else if (data.flushed) {
      const ms = (samples) => (samples / RATE_HZ) * 1000;
      const cut = data.cut.map(({ id, played, received }) => ({
        id,
        heardMs: Math.max(0, Math.round(ms(played) - this.latencyMs)),
        receivedMs: Math.round(ms(received)),
      }));
      this.flushes.get(data.flushed)?.(cut);
      this.flushes.delete(data.flushed);
    }
  }
}
