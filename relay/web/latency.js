/**
 * Where the time of a turn went, from the end of the caller's speech to the first sound of the answer. Pure.
 *
 * All times are milliseconds on one clock, given by the caller. The end of speech is estimated for turns that the relay
 * detects: the moment speech-stopped arrived, less the silence that had to pass before it could be sent.
 */
const MAX_TURNS = 50;

/** What ends each stage, and what the stage is called. */
export const STAGES = {
  committed: "end of turn",
  created: "response created",
  heard: "words recognized",
  tools: "tools answered",
  transcript: "first words",
  received: "first audio received",
  played: "first audio played",
};

export class Latency {
  constructor() {
    /** @type {{number: number, kind: "voice"|"push"|"text", begin: number, marks: object, version: number}[]} */
    this.turns = [];
    this.count = 0;
    this.itemTurns = new Map();
  }

  /** A turn of the caller is over. @param {"voice"|"push"|"text"} kind */
  began(kind, now, silenceMs = 0) {
    this.turns.push({ number: ++this.count, kind, begin: now - silenceMs, silenceMs, marks: {}, version: 1 });
    if (this.turns.length > MAX_TURNS) this.turns.shift();
    this.itemTurns.clear();
  }

  /** @param {object} event from the relay @param {number} now @param {number} silenceMs what is set at present */
  apply(event, now, silenceMs) {
    switch (event.type) {
      case "speech-stopped":
        this.began("voice", now, silenceMs);
        break;
      case "audio-committed":
        this.#mark("committed", now);
        break;
      case "response-created":
        this.#mark("created", now);
        break;
      case "input-transcription-completed":
        this.#heard(now);
        break;
      case "audio-transcript-delta":
      case "text-delta":
        this.#mark("transcript", now);
        break;
      case "audio-delta":
        if (this.turns.length && !this.turns.at(-1).marks.received) this.itemTurns.set(event.itemId, this.turns.at(-1));
        this.#mark("received", now);
        break;
    }
  }

  /** The tools of this turn have answered and the model was asked to go on. */
  continued(now) {
    this.#mark("tools", now);
  }

  /** The first sample of an item leaves the loudspeaker. */
  played(itemId, now) {
    const turn = this.itemTurns.get(itemId);
    if (turn && turn.marks.played === undefined) {
      turn.marks.played = now;
      turn.version++;
    }
  }

  /** The words may grow after the commit; the last ones before the answer are those that it waited for. */
  #heard(now) {
    const marks = this.turns.at(-1)?.marks;
    if (marks?.committed === undefined || marks.tools || marks.transcript || marks.received) return;
    marks.heard = now;
    this.turns.at(-1).version++;
  }

  #mark(name, now) {
    const turn = this.turns.at(-1);
    if (!turn || turn.marks[name] !== undefined) return;
    // An answer that nobody asked for (a greeting) belongs to no turn; one that is heard has nothing left to measure.
    if (name !== "committed" && name !== "created" && turn.marks.created === undefined) return;
    turn.marks[name] = now;
    turn.version++;
  }
}

/**
 * The stages of a turn in the order in which they ended.
 * @returns {{name: string, label: string, startMs: number, durationMs: number}[]} startMs counts from the end of speech
 */
export function stages(turn) {
  const ended = Object.entries(turn.marks).sort(([, a], [, b]) => a - b);
  let last = turn.begin;
  return ended.map(([name, at]) => {
    const end = Math.max(at, last);
    const stage = { name, label: STAGES[name], startMs: last - turn.begin, durationMs: end - last };
    last = end;
    return stage;
  });
}

/** Milliseconds from the end of speech to the first sound; to the first words where there is no sound. */
export function totalMs(turn) {
  const end = turn.marks.played ?? turn.marks.transcript;
  return end === undefined ? undefined : end - turn.begin;
}
