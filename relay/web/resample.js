/**
 * A streaming resampler: windowed sinc, one filter per output phase, history kept between calls.
 *
 * The capture context runs at the device's own rate: Firefox refuses to connect a microphone to a context of another
 * rate, and the browsers that allow it differ in how well they convert. Delay: 16 periods of the lower rate.
 */
const LOBES = 16;

export class Resampler {
  /** @param {number} from Hz @param {number} to Hz */
  constructor(from, to) {
    const divisor = gcd(from, to);
    this.step = from / divisor;
    this.phases = to / divisor;
    const cutoff = Math.min(1, to / from) * 0.94;
    this.half = Math.ceil(LOBES * Math.max(1, from / to));
    this.filters = Array.from({ length: this.phases }, (_, phase) => filter(phase / this.phases, this.half, cutoff));
    this.history = new Float32Array(2 * this.half);
    /** Position of the next output in the history, in input samples times `phases`. */
    this.position = 0;
  }

  /** @param {Float32Array} input @returns {Float32Array} what is complete so far */
  push(input) {
    if (this.step === this.phases) return input.slice();
    const data = new Float32Array(this.history.length + input.length);
    data.set(this.history);
    data.set(input, this.history.length);
    const taps = 2 * this.half;
    const end = (data.length - taps) * this.phases;
    const output = new Float32Array(Math.max(0, Math.ceil((end - this.position) / this.step)));
    for (let n = 0; n < output.length; n++, this.position += this.step) {
      const start = Math.floor(this.position / this.phases);
      const weights = this.filters[this.position % this.phases];
      let sum = 0;
      for (let tap = 0; tap < taps; tap++) sum += data[start + tap] * weights[tap];
      output[n] = sum;
    }
    const used = Math.min(Math.floor(this.position / this.phases), data.length - taps);
    this.position -= used * this.phases;
    this.history = data.slice(used);
    return output;
  }
}

/** Weights for an output that lies `fraction` of an input sample behind tap `half - 1`; they sum to 1. */
function filter(fraction, half, cutoff) {
  const weights = new Float32Array(2 * half);
  let sum = 0;
  for (let tap = 0; tap < weights.length; tap++) {
    const x = tap - (half - 1) - fraction;
    const sinc = x === 0 ? 1 : Math.sin(Math.PI * cutoff * x) / (Math.PI * cutoff * x);
    const window = Math.abs(x) >= half ? 0 : 0.5 + 0.5 * Math.cos((Math.PI * x) / half);
    weights[tap] = sinc * window;
    sum += weights[tap];
  }
  return weights.map((weight) => weight / sum);
}

function gcd(a, b) {
  return b === 0 ? a : gcd(b, a % b);
}
