/** Tools that run in this page, so that a tool call can be seen without writing one. Their data is made up, and says so. */

const WEATHER = ["sunny", "rainy", "cloudy", "windy", "foggy", "fair"];

export const DEFINITIONS = [
  {
    type: "function",
    name: "get_weather",
    description: "Get the current weather in a city.",
    parameters: {
      type: "object",
      properties: { city: { type: "string", description: "Name of the city, for example Paris" } },
      required: ["city"],
    },
  },
  {
    type: "function",
    name: "get_time",
    description: "Get the current date and time where the user is.",
    parameters: { type: "object", properties: {} },
  },
  {
    type: "function",
    name: "set_color",
    description: "Set the accent color of the playground page.",
    parameters: {
      type: "object",
      properties: { color: { type: "string", description: "A CSS color, for example purple or #0d7a70" } },
      required: ["color"],
    },
  },
];

/** @param {string} name @returns {boolean} whether this page answers calls of it */
export function isOurs(name) {
  return DEFINITIONS.some((tool) => tool.name === name);
}

/**
 * Run a tool.
 * @param {string} name @param {string} argumentsJson
 * @param {{now: Date, setColor: (color: string) => boolean}} world
 * @returns {{ok: boolean, output: object}} a mistake of the model is an answer, too: it can correct itself
 */
export function run(name, argumentsJson, { now, setColor }) {
  let args;
  try {
    args = Object(JSON.parse(argumentsJson || "{}"));
  } catch {
    return failed("the arguments are not JSON");
  }
  if (name === "get_weather") {
    return typeof args.city === "string" && args.city ? done(weather(args.city)) : failed("city is missing");
  }
  if (name === "get_time") {
    const time = now.toLocaleTimeString("en", { hour: "numeric", minute: "2-digit" });
    return done({ time, date: now.toLocaleDateString("en", { weekday: "long", day: "numeric", month: "long" }) });
  }
  if (name === "set_color") {
    return setColor(String(args.color)) ? done({ color: args.color }) : failed(`${args.color} is not a CSS color`);
  }
  return failed(`there is no tool ${name}`);
}

/** The same city has the same weather, another city another. */
function weather(city) {
  let hash = 7;
  for (const letter of city.trim().toLowerCase()) hash = (hash * 31 + letter.codePointAt(0)) % 9973;
  return {
    city,
    weather: WEATHER[hash % WEATHER.length],
    temperature_celsius: 4 + (hash % 25),
    source: "demo data",
  };
}

function done(output) {
  return { ok: true, output };
}

function failed(message) {
  return { ok: false, output: { error: message } };
}

/**
 * When to ask the model to go on: once per response that called our tools, when it is done and all calls are answered.
 * A response that was cancelled is not continued: whoever interrupted it will be answered instead.
 */
export class Continuation {
  constructor() {
    this.open = new Map();
  }

  /** Our tool was called. */
  called(responseId) {
    const calls = this.open.get(responseId) ?? { unanswered: 0, done: false };
    calls.unanswered++;
    this.open.set(responseId, calls);
  }

  /** @returns {boolean} go on now */
  answered(responseId) {
    const calls = this.open.get(responseId);
    if (calls) calls.unanswered--;
    return this.#due(responseId);
  }

  /** @param {string} status of response-done @returns {boolean} go on now */
  finished(responseId, status) {
    const calls = this.open.get(responseId);
    if (!calls) return false;
    if (status === "cancelled" || status === "failed") return this.open.delete(responseId) && false;
    calls.done = true;
    return this.#due(responseId);
  }

  #due(responseId) {
    const calls = this.open.get(responseId);
    return Boolean(calls?.done && calls.unanswered === 0 && this.open.delete(responseId));
  }
}
