// What the scripts share: reading a recording, waiting, and telling the test what happened.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export { sleep };

/** Arguments: one JSON object on the command line. */
export const options = () => JSON.parse(process.argv[2]);

/** The tool that every conversation offers; AI SDK and OpenAI write it alike. */
export const tools = [
  {
    type: 'function',
    name: 'get_weather',
    description: 'Tells the weather in a city.',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
];

/** The samples of a PCM16 mono WAV file as base64 frames of `frameMs`, followed by `tailMs` of silence. */
export function speech(path, { rate, frameMs = 40, tailMs = 1200 }) {
  const wav = readFileSync(path);
  let at = 12;
  let format;
  while (wav.toString('latin1', at, at + 4) !== 'data') {
    if (wav.toString('latin1', at, at + 4) === 'fmt ') format = wav.subarray(at + 8, at + 8 + wav.readUInt32LE(at + 4));
    at += 8 + wav.readUInt32LE(at + 4);
  }
  if (format.readUInt16LE(2) !== 1 || format.readUInt32LE(4) !== rate || format.readUInt16LE(14) !== 16)
    throw new Error(`${path} is not PCM16 mono at ${rate} Hz`);
  const silence = Buffer.alloc(Math.round((rate * tailMs) / 1000) * 2);
  const pcm = Buffer.concat([wav.subarray(at + 8, at + 8 + wav.readUInt32LE(at + 4)), silence]);
  const step = Math.round((rate * frameMs) / 1000) * 2;
  const frames = [];
  for (let start = 0; start < pcm.length; start += step) frames.push(pcm.subarray(start, start + step).toString('base64'));
  return frames;
}

/** Wait until `found()` is truthy and return it; after `ms` fail with what was waited for. */
export async function until(what, found, ms = 20_000) {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(20)) {
    const value = await found();
    if (value) return value;
  }
  throw new Error(`waited ${ms} ms for ${what}`);
}

/** Run `main`; print its result as one line of JSON, or what went wrong with what `sofar()` knows. */
export async function report(main, sofar = () => ({})) {
  try {
    console.log(JSON.stringify(await main()));
    process.exit(0);
  } catch (error) {
    console.error(error.stack, JSON.stringify(sofar()).slice(0, 4000));
    process.exit(1);
  }
}
