import assert from "node:assert/strict";
import { test } from "node:test";

import { Latency, stages, totalMs } from "../../../relay/web/latency.js";

const bars = (turn) => stages(turn).map(({ name, startMs, durationMs }) => [name, startMs, durationMs]);
const apply = (latency, times) => times.forEach(([now, type, itemId]) => latency.apply({ type, itemId }, now, 500));

test("a spoken turn counts from the estimated end of speech to the first sound", () => {
  const latency = new Latency();
  apply(latency, [
    [1_000, "speech-stopped"], [1_002, "audio-committed"], [1_010, "response-created"],
    [1_100, "audio-transcript-delta"], [1_110, "audio-delta", "a1"],
  ]);
  latency.played("a1", 1_140);
  const [turn] = latency.turns;
  assert.deepEqual(bars(turn), [
    ["committed", 0, 502], ["created", 502, 8], ["transcript", 510, 90], ["received", 600, 10], ["played", 610, 30],
  ]);
  assert.equal(totalMs(turn), 640);
});

test("the time until the words were recognized is shown, up to the answer that waited for them", () => {
  const latency = new Latency();
  apply(latency, [
    [1_000, "input-transcription-completed"], [1_000, "speech-stopped"], [1_001, "audio-committed"], [1_002, "response-created"],
    [1_050, "input-transcription-completed"], [1_090, "input-transcription-completed"], [1_100, "audio-transcript-delta"],
    [1_150, "input-transcription-completed"],
  ]);
  assert.deepEqual(bars(latency.turns[0]).slice(-2), [["heard", 502, 88], ["transcript", 590, 10]]);
});

test("only the first of each mark counts", () => {
  const latency = new Latency();
  latency.began("text", 0);
  apply(latency, [[5, "response-created"], [7, "audio-delta", "a1"], [9, "audio-delta", "a1"]]);
  assert.deepEqual(bars(latency.turns[0]), [["created", 0, 5], ["received", 5, 2]]);
});

test("audio before words is shown in that order", () => {
  const latency = new Latency();
  latency.began("text", 0);
  apply(latency, [[5, "response-created"], [7, "audio-delta", "a1"], [9, "audio-transcript-delta", "a1"]]);
  assert.deepEqual(bars(latency.turns[0]).map(([name]) => name), ["created", "received", "transcript"]);
});

test("a turn with tools shows the time until they had answered", () => {
  const latency = new Latency();
  latency.began("text", 0);
  apply(latency, [[5, "response-created"]]);
  latency.continued(30);
  apply(latency, [[40, "response-created"], [50, "audio-transcript-delta"]]);
  assert.deepEqual(bars(latency.turns[0]), [["created", 0, 5], ["tools", 5, 25], ["transcript", 30, 20]]);
});

test("an answer without sound counts to its first words, an unanswered turn to nothing", () => {
  const latency = new Latency();
  latency.began("text", 100);
  assert.equal(totalMs(latency.turns[0]), undefined);
  apply(latency, [[105, "response-created"], [150, "text-delta"]]);
  assert.equal(totalMs(latency.turns[0]), 50);
});

test("a greeting belongs to no turn", () => {
  const latency = new Latency();
  apply(latency, [[1, "response-created"], [2, "audio-delta", "a1"]]);
  latency.played("a1", 3);
  assert.deepEqual(latency.turns, []);
});

test("the old answer still being played does not count for the new turn", () => {
  const latency = new Latency();
  latency.began("text", 0);
  apply(latency, [[5, "response-created"], [7, "audio-delta", "a1"]]);
  latency.began("text", 8);
  latency.played("a1", 9);
  apply(latency, [[9, "audio-delta", "a1"]]);
  assert.deepEqual(bars(latency.turns[1]), []);
});
