/** The last frames in both directions, without their audio. Pure. */
import { durationMs } from "./pcm.js";

export const MAX_ROWS = 200;
const AUDIO = new Set(["input-audio-append", "audio-delta"]);

export class EventLog {
  constructor() {
    /** @type {{from: "page"|"relay", type: string, at: number, event: object, frames: number}[]} */
    this.rows = [];
    this.total = 0;
  }

  /**
   * Runs of audio frames become one row each way: {frames, audioMs}, so that they do not push out everything else.
   * @param {"page"|"relay"} from @param {object} event @param {number} at milliseconds since the call began
   */
  add(from, event, at) {
    this.total++;
    if (AUDIO.has(event.type)) {
      const ms = durationMs((event.audio ?? event.delta ?? "").length);
      const row = this.#runningAudio(event);
      if (row) {
        row.frames++;
        row.event.audioMs = Math.round(row.event.audioMs + ms);
        return;
      }
      const { audio: _audio, delta: _delta, raw: _raw, ...rest } = event;
      this.#push({ from, type: event.type, at, event: { ...rest, audioMs: Math.round(ms) }, frames: 1 });
    } else {
      this.#push({ from, type: event.type, at, event, frames: 1 });
    }
  }

  /** @returns {string} JSON text for a file */
  toJson() {
    const rows = this.rows.map(({ from, at, event, frames }) => ({ atMs: Math.round(at), from, frames, ...event }));
    return JSON.stringify(rows, null, 2);
  }

  /** The row of the same kind among the audio rows at the end. */
  #runningAudio(event) {
    for (let at = this.rows.length - 1; at >= 0 && AUDIO.has(this.rows[at].type); at--) {
      if (this.rows[at].type === event.type && this.rows[at].event.itemId === event.itemId) return this.rows[at];
    }
    return undefined;
  }

  #push(row) {
    this.rows.push(row);
    if (this.rows.length > MAX_ROWS) this.rows.shift();
  }
}
