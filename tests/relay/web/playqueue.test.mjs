import assert from "node:assert/strict";
import { test } from "node:test";

import { PlayQueue } from "../../../relay/web/playqueue.js";

const samples = (count, value = 16384) => new Int16Array(count).fill(value);
const pull = (queue, count) => {
  const out = new Float32Array(count).fill(9);
  return { ...queue.pull(out), out: [...out] };
};

test("an empty queue plays silence", () => {
  const { out, started, drained } = pull(new PlayQueue(), 4);
  assert.deepEqual({ out, started, drained }, { out: [0, 0, 0, 0], started: [], drained: false });
});

test("samples come out in order, across chunks and items, and each item announces its first sample", () => {
  const queue = new PlayQueue();
  queue.push("a", samples(2, 8192));
  queue.push("a", samples(1, 8192));
  queue.push("b", samples(3, -8192));
  const first = pull(queue, 4);
  assert.deepEqual(first.out, [0.25, 0.25, 0.25, -0.25]);
  assert.deepEqual(first.started, ["a", "b"]);
  const second = pull(queue, 4);
  assert.deepEqual(second.out, [-0.25, -0.25, 0, 0]);
  assert.deepEqual([second.started, second.drained], [[], true]);
});

test("running dry is told once", () => {
  const queue = new PlayQueue();
  queue.push("a", samples(6));
  assert.deepEqual([4, 4, 4].map((count) => pull(queue, count).drained), [false, true, false]);
});

test("flush tells to the sample what was played, the fade included, and nothing is heard after it", () => {
  const queue = new PlayQueue();
  queue.push("a", samples(1000));
  pull(queue, 300);
  assert.deepEqual(queue.flush(), [{ id: "a", played: 364, received: 1000 }]);
  const { out } = pull(queue, 128);
  assert.ok(out.slice(0, 64).every((value, at) => value <= (at ? out[at - 1] : 0.5)), "it ramps down");
  assert.ok(out.slice(64).every((value) => value === 0));
});

test("flush names the items that were waiting, at nothing played", () => {
  const queue = new PlayQueue();
  queue.push("a", samples(500));
  queue.push("b", samples(700));
  pull(queue, 100);
  assert.deepEqual(queue.flush(), [
    { id: "a", played: 164, received: 500 },
    { id: "b", played: 0, received: 700 },
  ]);
});

test("flush of what was heard to its end cuts nothing", () => {
  const queue = new PlayQueue();
  queue.push("a", samples(100));
  pull(queue, 128);
  assert.deepEqual(queue.flush(), []);
});

test("an item that goes on after a gap keeps its count", () => {
  const queue = new PlayQueue();
  queue.push("a", samples(128));
  pull(queue, 256);
  queue.push("a", samples(1000));
  const { started } = pull(queue, 128);
  assert.deepEqual(started, [], "its first sample was long ago");
  assert.deepEqual(queue.flush(), [{ id: "a", played: 128 + 128 + 64, received: 1128 }]);
});

test("more than ten minutes are not taken", () => {
  const queue = new PlayQueue();
  const minute = samples(24_000 * 60);
  assert.deepEqual(Array.from({ length: 11 }, () => queue.push("a", minute)), [...Array(10).fill(true), false]);
});
