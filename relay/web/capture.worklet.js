/**
 * Takes the microphone, on the audio thread: device rate in, {samples: Int16Array} of 40 ms at 24 kHz out.
 */
import { RATE_HZ, toInt16 } from "./pcm.js";
import { Resampler } from "./resample.js";

const CHUNK_SAMPLES = RATE_HZ * 0.04;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate, RATE_HZ);
    this.chunk = new Float32Array(CHUNK_SAMPLES);
    this.filled = 0;
  }

  process([[channel]]) {
    if (!channel) return true; // not connected yet
    let samples = this.resampler.push(channel);
    while (samples.length) {
      const count = Math.min(samples.length, CHUNK_SAMPLES - this.filled);
      this.chunk.set(samples.subarray(0, count), this.filled);
      this.filled += count;
      samples = samples.subarray(count);
      if (this.filled === CHUNK_SAMPLES) {
        const out = toInt16(this.chunk);
        this.port.postMessage({ samples: out }, [out.buffer]);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
