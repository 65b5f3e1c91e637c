/**
 * Plays the model's voice, on the audio thread. Its context runs at 24 kHz, so one sample in is one sample out.
 *
 * In: {play: id, samples: Int16Array} and {flush: n}. Out: {started: id, at: context seconds}, {drained: true},
 * {level: 0..1} while playing, {flushed: n, cut: [{id, played, received}]} in samples, {full: true}.
 */
import { loudness } from "./pcm.js";
import { PlayQueue } from "./playqueue.js";

const LEVEL_EVERY_BLOCKS = 8; // 8 blocks of 128 samples are 43 ms

class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    this.queue = new PlayQueue();
    this.blocks = 0;
    this.port.onmessage = ({ data }) => {
      if (data.samples) {
        if (!this.queue.push(data.play, data.samples)) this.port.postMessage({ full: true });
      } else {
        this.port.postMessage({ flushed: data.flush, cut: this.queue.flush() });
      }
    };
  }

  process(_inputs, [[channel]]) {
    const { started, drained } = this.queue.pull(channel);
    for (const id of started) this.port.postMessage({ started: id, at: currentTime });
    if (this.queue.playing && ++this.blocks % LEVEL_EVERY_BLOCKS === 0) {
      this.port.postMessage({ level: loudness(channel, 1) });
    }
    if (drained) this.port.postMessage({ drained: true });
    return true;
  }
}

registerProcessor("playback", Playback);
