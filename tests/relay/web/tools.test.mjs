import assert from "node:assert/strict";
import { test } from "node:test";

import { Continuation, DEFINITIONS, isOurs, run } from "../../../relay/web/tools.js";

const world = { now: new Date(2026, 0, 5, 15, 4), setColor: (color) => color === "purple" };

test("every definition names an object schema and is run by this page", () => {
  for (const { name, parameters } of DEFINITIONS) {
    assert.equal(parameters.type, "object");
    assert.ok(isOurs(name));
    assert.notEqual(run(name, '{"city":"Paris","color":"purple"}', world).output.error, `there is no tool ${name}`);
  }
});

test("weather varies with the city, stays for the same one, and says that it is made up", () => {
  const weather = (city) => run("get_weather", JSON.stringify({ city }), world).output;
  assert.deepEqual({ ...weather("Paris"), city: "" }, { ...weather(" paris"), city: "" });
  assert.notDeepEqual({ ...weather("Paris"), city: "" }, { ...weather("Oslo"), city: "" });
  assert.equal(weather("Paris").source, "demo data");
});

test("the time is what a person would say", () => {
  assert.deepEqual(run("get_time", "{}", world), { ok: true, output: { time: "3:04 PM", date: "Monday, January 5" } });
});

for (const [what, name, args] of [
  ["broken arguments", "get_weather", "{"], ["a missing city", "get_weather", "{}"], ["null", "get_weather", "null"],
  ["a city that is no text", "get_weather", '{"city":3}'], ["a color that is none", "set_color", '{"color":"loud"}'],
  ["an unknown tool", "rm", "{}"],
]) {
  test(`${what} is answered with an error, not thrown`, () => {
    const { ok, output } = run(name, args, world);
    assert.equal(ok, false);
    assert.ok(output.error);
  });
}

test("the model goes on once, when the response is done and all its calls are answered", () => {
  for (const order of [["answered", "answered", "finished"], ["finished", "answered", "answered"], ["answered", "finished", "answered"]]) {
    const continuation = new Continuation();
    continuation.called("r1");
    continuation.called("r1");
    const due = order.map((step) => (step === "answered" ? continuation.answered("r1") : continuation.finished("r1", "completed")));
    assert.deepEqual(due, [false, false, true], order.join());
  }
});

test("a response without our calls, a cancelled or a failed one is not continued", () => {
  const continuation = new Continuation();
  assert.equal(continuation.finished("r1", "completed"), false);
  for (const status of ["cancelled", "failed"]) {
    continuation.called("r2");
    assert.equal(continuation.finished("r2", status), false);
    assert.equal(continuation.answered("r2"), false);
  }
});
