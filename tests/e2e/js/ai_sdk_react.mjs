// experimental_useRealtime in headless Chromium, with a recording as its microphone.
// node ai_sdk_react.mjs '{"scenario","profile","model","api","relay","apiKey","wav","chromium","port","dir"}'
//   -> {"status","messages","rendered","events","errors","calls","sent","played","stopped"}
// `api` is what the hook gets: {token: URL} or {websocket: URL, protocols}. The page's own server answers
// `/setup` as an application would: it mints with the gateway provider, whose key never reaches the browser.
import { createGateway } from '@ai-sdk/gateway';
import { build } from 'esbuild';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { chromium } from 'playwright-core';
import { options, report, sleep, tools, until } from './lib.mjs';

const given = options();

async function serve() {
  await build({
    entryPoints: [new URL('page.jsx', import.meta.url).pathname],
    bundle: true,
    format: 'esm',
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"production"' },
    outfile: `${given.dir}/page.js`,
    logLevel: 'error',
  });
  const server = createServer(async (request, response) => {
    if (request.url === '/setup') {
      const gateway = createGateway({ baseURL: `${given.relay}/v4/ai`, apiKey: given.apiKey });
      const setup = await gateway.experimental_realtime.getToken({ model: given.model });
      response.setHeader('content-type', 'application/json').end(JSON.stringify(setup));
    } else if (request.url === '/page.js') {
      response.setHeader('content-type', 'text/javascript').end(readFileSync(`${given.dir}/page.js`));
    } else {
      response.setHeader('content-type', 'text/html');
      response.end('<!doctype html><link rel="icon" href="data:,"><div id="root"></div><script type="module" src="/page.js"></script>');
    }
  });
  await new Promise(done => server.listen(given.port, '127.0.0.1', done));
  return `http://127.0.0.1:${server.address().port}`;
}

const browse = () =>
  chromium.launchPersistentContext(`${given.dir}/profile`, {
    executablePath: given.chromium,
    args: [
      '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
      '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream',
      `--use-file-for-fake-audio-capture=${given.wav}%noloop`,
      '--autoplay-policy=no-user-gesture-required',
    ],
  });

/** The conversation as the page has it; `says(role)` are the texts of its bubbles. */
const state = page =>
  page.evaluate(() => ({
    status: window.voice.status,
    isPlaying: window.voice.isPlaying,
    messages: window.voice.messages,
    rendered: [...document.querySelectorAll('p')].map(p => [p.className, p.innerText]),
    ...window.log,
  }));
const texts = (now, role) =>
  now.messages.filter(m => m.role === role).map(m => m.parts.map(part => part.text ?? '').join(''));
/** The microphone is opened now, and the recording begins; as it is, because room and loudspeaker are not there. */
const speakNow = page =>
  page.evaluate(async () => {
    window.voice.stopAudioCapture();
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    window.voice.startAudioCapture(await navigator.mediaDevices.getUserMedia({ audio }));
  });
/** Say the question until its tool is called: Chromium skips 10 ms of the recording now and then; people repeat themselves. */
const ask = async (page, wait, tries = 3) => {
  await speakNow(page);
  try {
    await wait('the tool call', now => now.calls.length === 1, 12_000);
  } catch (error) {
    if (tries === 1) throw error;
    await ask(page, wait, tries - 1);
  }
};
const connect = async (page, until_) => {
  await page.evaluate(() => window.voice.connect());
  await until_('connected', now => now.status === 'connected');
};

const scenarios = {
  /** A question is spoken, a tool answers it, the answer is heard. */
  async tool(page, wait) {
    await connect(page, wait);
    await ask(page, wait);
    await wait('the spoken result', now => texts(now, 'assistant').some(text => text.includes('21')), 30_000);
    await wait('the end of the answer', now => now.events.filter(e => e.type === 'response-done').length >= 2);
  },
  /** A long answer is being heard; the question is spoken into it, and is answered instead. */
  async interrupt(page, wait) {
    await connect(page, wait);
    await page.evaluate(text => window.voice.sendTextMessage(text), given.prompt);
    await wait('the answer to be heard', now => now.isPlaying && now.played.length > 2);
    await ask(page, wait);
    await wait('its answer', now => texts(now, 'assistant').some(text => text.includes('21')), 30_000);
  },
};

let last = {};
await report(async () => {
  const origin = await serve();
  const context = await browse();
  try {
    const page = context.pages()[0] ?? (await context.newPage());
    const wait = (what, found, ms) => until(what, async () => found((last = await state(page))), ms);
    const setup = {
      profile: given.profile,
      modelId: given.model,
      api: given.api ?? { token: '/setup' },
      sessionConfig: { instructions: 'Be brief.', inputAudioTranscription: {}, turnDetection: { type: 'server-vad' }, tools },
      toolResult: { city: 'Paris', temperature: 21 },
    };
    page.on('pageerror', error => console.error('page:', error.message));
    await page.goto(`${origin}/#${encodeURIComponent(JSON.stringify(setup))}`);
    await until('the page', () => page.evaluate(() => Boolean(window.voice)));
    await scenarios[given.scenario](page, wait);
    await sleep(300);
    const result = await state(page);
    await page.evaluate(() => window.voice.disconnect());
    const end = await state(page);
    return { ...result, end: end.status };
  } finally {
    await context.close();
  }
}, () => ({ rendered: last.rendered, errors: last.errors, calls: last.calls, sent: last.sent }));
