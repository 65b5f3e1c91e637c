import assert from "node:assert/strict";
import { test } from "node:test";

import { Transcript, wordBoundary } from "../../../relay/web/transcript.js";

const told = (...events) => {
  const transcript = new Transcript();
  events.forEach((event, at) => transcript.apply(event, at));
  return transcript;
};
const shown = (transcript) => transcript.entries.map(({ kind, text, name, state }) => `${kind}:${text ?? name}:${state}`);
const delta = (text, itemId = "a1", responseId = "r1") => ({ type: "audio-transcript-delta", responseId, itemId, delta: text });

test("a spoken turn is shown as it is heard, and settles with its commit", () => {
  const transcript = told({ type: "speech-started", itemId: "u1" });
  assert.deepEqual(shown(transcript), ["user::hearing"]);
  transcript.apply({ type: "input-transcription-completed", itemId: "u1", transcript: "what is" }, 1);
  assert.deepEqual(shown(transcript), ["user:what is:interim"]);
  transcript.apply({ type: "audio-committed", itemId: "u1" }, 2);
  transcript.apply({ type: "input-transcription-completed", itemId: "u1", transcript: "What is it?" }, 3);
  assert.deepEqual(shown(transcript), ["user:What is it?:final"]);
});

test("a turn whose words come late stays in front of the answer", () => {
  const transcript = told(
    { type: "speech-started", itemId: "u1" },
    { type: "audio-committed", itemId: "u1" },
    { type: "response-created", responseId: "r1" },
    delta("Yes."),
    { type: "input-transcription-completed", itemId: "u1", transcript: "Is it?" },
  );
  assert.deepEqual(shown(transcript), ["user:Is it?:final", "model:Yes.:speaking"]);
});

test("noise that never became a turn leaves nothing behind", () => {
  assert.deepEqual(shown(told({ type: "speech-started", itemId: "u1" }, { type: "speech-started", itemId: "u2" })), ["user::hearing"]);
});

test("a turn that is still being transcribed survives the next one", () => {
  const transcript = told(
    { type: "speech-started", itemId: "u1" }, { type: "audio-committed", itemId: "u1" }, { type: "speech-started", itemId: "u2" });
  assert.equal(transcript.entries.length, 2);
});

test("an answer that was cut says where, by the share of its audio that was heard, at the end of a word", () => {
  const transcript = told(delta("one two three four five six seven eight nine ten"));
  transcript.cut({ id: "a1", heardMs: 1_900, receivedMs: 5_000 });
  const [{ state, text, cut }] = transcript.entries;
  assert.equal(state, "cut");
  assert.equal(text.slice(0, cut.chars), "one two three four");
  assert.equal(cut.ms, 1_900);
});

test("where the relay says what was heard, its word counts", () => {
  const transcript = told(delta("Sure, once upon a time"), {
    type: "audio-transcript-done", responseId: "r1", itemId: "a1", transcript: "Sure, once",
  });
  transcript.cut({ id: "a1", heardMs: 432, receivedMs: 500 });
  const [{ text, cut }] = transcript.entries;
  assert.equal(text.slice(0, cut.chars), "Sure, once");
  assert.equal(text, "Sure, once upon a time");
});

test("the relay's word counts, too, when it comes after the cut", () => {
  const transcript = told(delta("Sure, once upon a time"));
  transcript.cut({ id: "a1", heardMs: 400, receivedMs: 500 });
  transcript.apply({ type: "audio-transcript-done", responseId: "r1", itemId: "a1", transcript: "Sure, once " }, 2);
  const [{ text, cut }] = transcript.entries;
  assert.equal(text.slice(0, cut.chars), "Sure, once");
});

test("a done that repeats the whole text does not move the cut", () => {
  const transcript = told(delta("one two three four "), {
    type: "audio-transcript-done", responseId: "r1", itemId: "a1", transcript: "one two three four",
  });
  transcript.cut({ id: "a1", heardMs: 100, receivedMs: 1_000 });
  assert.equal(transcript.entries[0].cut.chars, "one".length);
});

test("a late delta of an answer that was cut changes nothing", () => {
  const transcript = told(delta("one two"));
  transcript.cut({ id: "a1", heardMs: 10, receivedMs: 100 });
  transcript.apply(delta(" three"), 9);
  assert.equal(transcript.entries[0].text, "one two");
});

test("a tool call shows name, arguments and result", () => {
  const transcript = told(
    { type: "function-call-arguments-delta", responseId: "r1", itemId: "f1", callId: "c1", delta: "{" },
    { type: "function-call-arguments-done", responseId: "r1", itemId: "f1", callId: "c1", name: "get_weather", arguments: "{}" },
  );
  transcript.answered("c1", '{"t":20}', true, 3);
  const [{ name, args, result, state, ms }] = transcript.entries;
  assert.deepEqual({ name, args, result, state, ms }, { name: "get_weather", args: "{}", result: '{"t":20}', state: "done", ms: 3 });
});

test("the result of a tool of the relay is shown, too", () => {
  const transcript = told(
    { type: "function-call-arguments-done", responseId: "r1", itemId: "f1", callId: "c1", name: "lookup", arguments: "{}" },
    { type: "conversation-item-added", itemId: "o1", item: { type: "function_call_output", call_id: "c1", output: "42" } },
  );
  assert.deepEqual([transcript.entries[0].result, transcript.entries[0].ours], ["42", false]);
});

test("an error is a note, and repeating it is counted", () => {
  const transcript = told({ type: "error", message: "No." }, { type: "error", message: "No." });
  assert.deepEqual(shown(transcript), ["note:No.:undefined"]);
  assert.equal(transcript.entries[0].times, 2);
});

test("a failed response is said, since its event is otherwise invisible", () => {
  assert.deepEqual(shown(told({ type: "response-done", responseId: "r1", status: "failed" })), ["note:The response failed.:undefined"]);
});

test("events that it does not know change nothing", () => {
  assert.deepEqual(shown(told({ type: "something-new" }, { type: "custom", rawType: "x" }, {})), []);
});

test("the oldest entries go when there are too many", () => {
  const transcript = new Transcript();
  for (let at = 0; at < 600; at++) transcript.typed(`line ${at}`, at);
  assert.equal(transcript.entries.length, 500);
  assert.equal(transcript.entries[0].text, "line 100");
});

test("wordBoundary ends the word it falls into", () => {
  assert.equal(wordBoundary("one two three", 5), 7);
  assert.equal(wordBoundary("one two three", 0), 0);
  assert.equal(wordBoundary("one two three", 99), 13);
});
