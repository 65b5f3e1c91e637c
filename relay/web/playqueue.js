/**
 * What is waiting to be heard, sample by sample, and how much of each item has been. Pure: the playback worklet owns one.
 *
 * Models speak faster than real time, so minutes may wait here; the bound is ten of them.
 */
const MAX_SAMPLES = 24_000 * 600;
/** Cutting at full amplitude clicks: the last 2.7 ms ramp down, and count as heard. */
const FADE_SAMPLES = 64;

export class PlayQueue {
  constructor() {
    /** @type {{id: string, chunks: Int16Array[], offset: number, played: number, received: number}[]} in playing order */
    this.items = [];
    this.waiting = 0;
    this.fade = new Float32Array(0);
    this.playing = false;
  }

  /** @param {string} id item the samples belong to @param {Int16Array} samples @returns {boolean} false: full, not taken */
  push(id, samples) {
    if (samples.length === 0) return true;
    if (this.waiting + samples.length > MAX_SAMPLES) return false;
    let item = this.items.at(-1);
    if (!item || item.id !== id) {
      item = { id, chunks: [], offset: 0, played: 0, received: 0 };
      this.items.push(item);
    }
    item.chunks.push(samples);
    item.received += samples.length;
    this.waiting += samples.length;
    return true;
  }

  /**
   * Fill one block; silence where nothing waits.
   * @param {Float32Array} out
   * @returns {{started: string[], drained: boolean}} ids of which the first sample is in this block; whether it ran dry
   */
  pull(out) {
    const started = [];
    let at = 0;
    if (this.fade.length) {
      out.set(this.fade.subarray(0, out.length));
      at = Math.min(out.length, this.fade.length);
      this.fade = this.fade.subarray(at);
    }
    while (at < out.length && this.waiting) {
      const item = this.#current();
      if (item.played === 0) started.push(item.id);
      at += this.#take(item, out, at);
    }
    out.fill(0, at);
    const drained = this.playing && this.waiting === 0;
    this.playing = this.waiting > 0;
    return { started, drained };
  }

  /** Forget everything at once. @returns {{id: string, played: number, received: number}[]} the items that were cut */
  flush() {
    const cut = [];
    if (this.waiting) {
      const item = this.#current();
      const rest = new Float32Array(FADE_SAMPLES);
      const length = this.#take(item, rest, 0);
      this.fade = rest.subarray(0, length).map((value, at) => value * (1 - at / length));
      if (item.played < item.received) cut.push(item);
      cut.push(...this.items.slice(this.items.indexOf(item) + 1));
    }
    this.items = [];
    this.waiting = 0;
    this.playing = false;
    return cut.map(({ id, played, received }) => ({ id, played, received }));
  }

  /** The item being heard. Finished ones go, but the last stays: more of it may come after a gap. */
  #current() {
    while (this.items.length > 1 && this.items[0].chunks.length === 0) this.items.shift();
    return this.items[0];
  }

  /** Copy from one item until `out` or the item's first chunk ends. @returns {number} samples copied */
  #take(item, out, at) {
    const chunk = item.chunks[0];
    const count = Math.min(out.length - at, chunk.length - item.offset);
    for (let n = 0; n < count; n++) out[at + n] = chunk[item.offset + n] / 32768;
    item.offset += count;
    item.played += count;
    this.waiting -= count;
    if (item.offset === chunk.length) {
      item.chunks.shift();
      item.offset = 0;
    }
    return count;
  }
}
