import assert from "node:assert/strict";
import { test } from "node:test";

import { durationMs, fromBase64, loudness, toBase64, toInt16 } from "../../../relay/web/pcm.js";
import { Resampler } from "../../../relay/web/resample.js";

const sine = (hz, rate, count) => Float32Array.from({ length: count }, (_, at) => Math.sin((2 * Math.PI * hz * at) / rate));
const rms = (floats) => Math.sqrt(floats.reduce((sum, value) => sum + value * value, 0) / floats.length);
const resampled = (input, from, to, block = 128) => {
  const resampler = new Resampler(from, to);
  const output = [];
  for (let at = 0; at < input.length; at += block) output.push(...resampler.push(input.subarray(at, at + block)));
  return Float32Array.from(output);
};

test("base64 comes back as the same samples", () => {
  const samples = Int16Array.from({ length: 10_000 }, (_, at) => ((at * 7919) % 65536) - 32768);
  assert.deepEqual(fromBase64(toBase64(samples)), samples);
  assert.equal(toBase64(Int16Array.of(1, -2)), Buffer.from([1, 0, 0xfe, 0xff]).toString("base64"));
});

test("half a sample at the end is dropped", () => {
  assert.deepEqual(fromBase64(Buffer.from([1, 0, 7]).toString("base64")), Int16Array.of(1));
});

test("a chunk of 40 ms has its length", () => {
  assert.equal(durationMs(toBase64(new Int16Array(960)).length), 40);
});

test("floats beyond full scale are clipped, not wrapped", () => {
  assert.deepEqual(toInt16(Float32Array.of(2, -2, 0, 1)), Int16Array.of(32767, -32768, 0, 32767));
});

test("loudness is 0 for silence, 1 for full scale, one half at -30 dBFS", () => {
  assert.equal(loudness(new Int16Array(100)), 0);
  assert.ok(Math.abs(loudness(new Int16Array(100).fill(32767)) - 1) < 0.01);
  assert.ok(Math.abs(loudness(new Int16Array(100).fill(32768 * 10 ** (-30 / 20))) - 0.5) < 0.01);
});

for (const from of [8_000, 16_000, 44_100, 48_000, 96_000]) {
  test(`a tone at ${from} Hz is the same tone at 24 kHz`, () => {
    const output = resampled(sine(1_000, from, from), from, 24_000);
    assert.ok(Math.abs(output.length - 24_000) <= 1, `${output.length} samples`);
    const settled = output.subarray(2_000, 22_000);
    assert.ok(Math.abs(rms(settled) - Math.SQRT1_2) < 0.01, `level ${rms(settled)}`);
    // Whatever is not the tone: subtract the best-fitting sine of that frequency.
    const reference = [sine(1_000, 24_000, settled.length), Float32Array.from(settled, (_, at) => Math.cos((2 * Math.PI * at) / 24))];
    const [a, b] = reference.map((wave) => (2 * wave.reduce((sum, value, at) => sum + value * settled[at], 0)) / wave.length);
    const rest = settled.map((value, at) => value - a * reference[0][at] - b * reference[1][at]);
    assert.ok(rms(rest) < 0.001, `error ${rms(rest)}`);
  });
}

test("what 24 kHz cannot carry does not fold back", () => {
  assert.ok(rms(resampled(sine(15_000, 48_000, 48_000), 48_000, 24_000).subarray(1_000)) < 0.01);
});

test("the size of the blocks changes nothing", () => {
  const input = sine(440, 44_100, 4_410);
  assert.deepEqual(resampled(input, 44_100, 24_000, 128), resampled(input, 44_100, 24_000, 441));
});
