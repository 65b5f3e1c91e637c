/** The last frames in both directions, without their audio. Pure. */
import { durationMs } from "./pcm.js";

export const MAX_ROWS = 200;
/** What comes in many small pieces, and how a piece counts: as milliseconds of audio, or as text. */
const AUDIO = { "input-audio-append": "audio", "audio-delta": "delta" };
const PIECES = new Set([...Object.keys(AUDIO), "audio-transcript-delta", "text-delta", "function-call-arguments-delta"]);

export class EventLog {
  constructor() {
    /** @type {{from: "page"|"relay", type: string, at: number, event: object, frames: number}[]} */
    this.rows = [];
    this.total = 0;
  }

  /**
   * Pieces of the same thing become one row, {frames, audioMs or delta}, so that they do not push out everything else.
   * @param {"page"|"relay"} from @param {object} event @param {number} at milliseconds since the call began
   */
  add(from, event, at) {
    this.total++;
    const piece = PIECES.has(event.type) ? elided(event) : event;
    const row = PIECES.has(event.type) && this.#begun(event);
    if (row) {
      row.frames++;
      if (piece.audioMs !== undefined) row.event.audioMs += piece.audioMs;
      else row.event.delta += piece.delta;
      return;
    }
    this.rows.push({ from, type: event.type, at, event: piece, frames: 1 });
    if (this.rows.length > MAX_ROWS) this.rows.shift();
  }

  /** @returns {string} JSON text for a file */
  toJson() {
    const rows = this.rows.map(({ from, at, event, frames }) => ({ atMs: Math.round(at), from, frames, ...event }));
    return JSON.stringify(rows, null, 2);
  }

  /** The row that this piece continues, among the rows of pieces at the end. */
  #begun({ type, itemId, callId }) {
    for (let at = this.rows.length - 1; at >= 0 && PIECES.has(this.rows[at].type); at--) {
      const row = this.rows[at];
      if (row.type === type && row.event.itemId === itemId && row.event.callId === callId) return row;
    }
    return undefined;
  }
}

function elided({ raw: _raw, ...event }) {
  const audio = AUDIO[event.type];
  if (!audio) return event;
  const { [audio]: base64 = "", ...rest } = event;
  return { ...rest, audioMs: Math.round(durationMs(base64.length)) };
}
