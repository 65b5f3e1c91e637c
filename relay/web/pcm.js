/** PCM16 (signed, little-endian, mono) as it travels: base64 text. Every platform that runs this is little-endian. */

export const RATE_HZ = 24_000;

/** @param {Int16Array} samples @returns {string} standard base64 */
export function toBase64(samples) {
  const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
  let text = "";
  // In slices: the arguments of one call are bounded.
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

/** @param {string} text standard base64 @returns {Int16Array} a trailing half sample is dropped */
export function fromBase64(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length & ~1);
  for (let at = 0; at < bytes.length; at++) bytes[at] = raw.charCodeAt(at);
  return new Int16Array(bytes.buffer);
}

/** @param {Float32Array} floats in -1..1 @returns {Int16Array} rounded and clipped */
export function toInt16(floats) {
  const samples = new Int16Array(floats.length);
  for (let at = 0; at < floats.length; at++) {
    samples[at] = Math.max(-32768, Math.min(32767, Math.round(floats[at] * 32767)));
  }
  return samples;
}

/** Loudness for meters: 0 at -60 dBFS and below, 1 at full scale. @param {ArrayLike<number>} samples @param {number} full */
export function loudness(samples, full = 32768) {
  let sum = 0;
  for (let at = 0; at < samples.length; at++) sum += samples[at] * samples[at];
  const rms = Math.sqrt(sum / (samples.length || 1)) / full;
  return Math.max(0, Math.min(1, 1 + (20 * Math.log10(rms + 1e-9)) / 60));
}

/** @param {number} base64Chars length of a base64 text @returns {number} milliseconds of PCM16 at 24 kHz */
export function durationMs(base64Chars) {
  return ((base64Chars * 3) / 4 / 2 / RATE_HZ) * 1000;
}
