import assert from "node:assert/strict";
import { test } from "node:test";

import { EventLog, MAX_ROWS } from "../../../relay/web/eventlog.js";
import { callFault, microphoneFault } from "../../../relay/web/faults.js";
import { CLIENTS, sessionConfig, snippet } from "../../../relay/web/snippets.js";
import { DEFINITIONS } from "../../../relay/web/tools.js";

const SCREEN = {
  origin: "http://127.0.0.1:8080", model: "local/agent", voice: "en-gb", instructions: "Say \"it's\" ${x}\n`twice`.",
  push: false, threshold: 0.6, silenceMs: 700, prefixMs: 200, tools: DEFINITIONS,
};
const failure = (fields) => ({ stage: "ended", status: 0, code: 0, message: "", ...fields });

test("the session settings are what the gateway dialect calls them", () => {
  assert.deepEqual(sessionConfig({ ...SCREEN, tools: [] }), {
    instructions: SCREEN.instructions, voice: "en-gb", inputAudioTranscription: {}, tools: [],
    turnDetection: { type: "server-vad", threshold: 0.6, silenceDurationMs: 700, prefixPaddingMs: 200 },
  });
  assert.deepEqual(sessionConfig({ ...SCREEN, push: true }).turnDetection, { type: "disabled" });
});

test("what is left empty is not sent", () => {
  const config = sessionConfig({ ...SCREEN, voice: "", instructions: "" });
  assert.ok(!("voice" in config) && !("instructions" in config));
});

for (const client of Object.keys(CLIENTS)) {
  test(`the ${client} snippet names model, relay and settings`, () => {
    const code = snippet(client, SCREEN);
    assert.match(code, /local\/agent/);
    assert.match(code, /https?:\/\/127\.0\.0\.1:8080/);
    if (client !== "curl") assert.match(code, /0\.6/);
  });
}

test("the JavaScript snippets hold the same settings, whatever they are", () => {
  const config = snippet("ai-react", SCREEN).match(/const sessionConfig = (\{[\s\S]*?\n\});/)[1];
  assert.deepEqual(new Function(`return ${config}`)(), sessionConfig(SCREEN));
});

test("the mint commands carry JSON, quotes in it included", () => {
  const bodies = [...snippet("curl", SCREEN).matchAll(/-d '(.*)'$/gm)].map(([, body]) => JSON.parse(body.replaceAll("'\\''", "'")));
  assert.equal(bodies[0].model, "local/agent");
  assert.equal(bodies[1].session.instructions, SCREEN.instructions);
});

test("the OpenAI JavaScript client, which dials wss only, is told so where the relay has no certificate", () => {
  const plain = snippet("openai-js", SCREEN);
  assert.match(plain, /'https:\/\/127/);
  assert.match(plain, /--tls-cert/);
  assert.doesNotMatch(snippet("openai-js", { ...SCREEN, origin: "https://voice.example" }), /--tls-cert/);
});

test("every microphone fault says what to do and that typing works", () => {
  for (const name of ["InsecureContext", "NotAllowedError", "NotFoundError", "NotReadableError", "lost", "AbortError"]) {
    const { title, advice, retry } = microphoneFault({ name, message: "odd" });
    assert.ok(title && /You can type/.test(advice), name);
    assert.equal(retry, "microphone");
  }
  assert.match(microphoneFault({ name: "InsecureContext" }).advice, /localhost/);
});

test("an ordinary end is no fault", () => {
  assert.equal(callFault(failure({ code: 1000 })), null);
  assert.equal(callFault(failure({ stage: "stopped" })), null);
});

test("an end with a reason shows code and reason", () => {
  const { title, advice } = callFault(failure({ code: 1014, message: "The model cannot be reached" }));
  assert.match(title, /1014/);
  assert.match(advice, /^The model cannot be reached\. /);
});

test("each way not to get a call has its own advice", () => {
  const faults = [
    { stage: "unreachable" }, { stage: "refused", status: 401 }, { stage: "refused", status: 404 }, { stage: "refused", status: 429 },
    { stage: "refused", status: 503 }, { stage: "refused", status: 500 }, { stage: "socket", code: 1006 }, { stage: "late" },
    { stage: "page" }, { code: 1006 }, { code: 4999 },
  ].map((fields) => callFault(failure({ ...fields, message: "why" })));
  assert.equal(new Set(faults.map(({ title }) => title)).size, faults.length);
});

test("runs of audio frames are one row each way, without the audio", () => {
  const log = new EventLog();
  const audio = Buffer.alloc(1920).toString("base64");
  for (let at = 0; at < 5; at++) {
    log.add("page", { type: "input-audio-append", audio }, at);
    log.add("relay", { type: "audio-delta", itemId: "a1", delta: audio, raw: { delta: audio } }, at);
  }
  assert.deepEqual(log.rows.map(({ type, frames, event }) => [type, frames, event.audioMs]), [
    ["input-audio-append", 5, 200], ["audio-delta", 5, 200],
  ]);
  assert.ok(!log.toJson().includes(audio.slice(0, 40)));
  assert.equal(log.total, 10);
});

test("words that come between pieces of audio are one row, with their text", () => {
  const log = new EventLog();
  for (const delta of ["Once ", "upon "]) {
    log.add("relay", { type: "audio-transcript-delta", itemId: "a1", delta }, 0);
    log.add("relay", { type: "audio-delta", itemId: "a1", delta: "AAAA" }, 0);
  }
  assert.deepEqual(log.rows.map(({ type, frames, event }) => [type, frames, event.delta]), [
    ["audio-transcript-delta", 2, "Once upon "], ["audio-delta", 2, undefined],
  ]);
});

test("another event ends a run", () => {
  const log = new EventLog();
  for (const type of ["input-audio-append", "speech-started", "input-audio-append"]) log.add("page", { type, audio: "" }, 0);
  assert.equal(log.rows.length, 3);
});

test("only the last rows are kept, and the file holds them", () => {
  const log = new EventLog();
  for (let at = 0; at < MAX_ROWS + 10; at++) log.add("page", { type: "response-create", n: at }, at);
  assert.equal(log.rows.length, MAX_ROWS);
  assert.equal(JSON.parse(log.toJson())[0].n, 10);
});
