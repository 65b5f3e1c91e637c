// Drives the playground in Chromium: one scenario a run, its findings as JSON on standard output.
// Options (JSON, first argument): scenario, url, chromium, modules (a folder with playwright-core), wav, profile.
import { createRequire } from "node:module";

const options = JSON.parse(process.argv[2]);
const { chromium } = createRequire(`${options.modules}/`)("playwright-core");

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const MICROPHONES = {
  recording: ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", `--use-file-for-fake-audio-capture=${options.wav}%noloop`],
  none: [], // headless, without a device: what a server or a container has
  denied: ["--deny-permission-prompts", "--use-fake-device-for-media-stream"],
};
const STEP_MS = 30_000;

/** What is on screen. */
const seen = (page) => page.evaluate(() => {
  const texts = (selector, root = document) => [...root.querySelectorAll(selector)].map((node) => node.innerText);
  return {
    state: document.querySelector("#state-text").textContent,
    entries: [...document.querySelectorAll(".entry")].map((node) => ({
      kind: node.classList[1], state: node.classList[2] ?? "", text: node.querySelector(".said").innerText,
    })),
    turns: [...document.querySelectorAll(".turn")].map((node) => ({
      total: node.querySelector("strong").innerText, stages: texts(".stages li > span:first-child", node),
    })),
    fault: document.querySelector("#fault").hidden ? "" : document.querySelector("#fault").innerText,
    announced: texts("#announcer p"),
  };
});
const inState = (page, ...states) =>
  page.waitForFunction((wanted) => wanted.includes(document.querySelector("#state-text").textContent), states);
const entry = (page, selector, text = "") => page.locator(`.entry.${selector}`, { hasText: text }).first().waitFor();
const say = async (page, text) => {
  await page.fill("#text", text);
  await page.press("#text", "Enter");
};
const rows = async (page) => {
  const [file] = await Promise.all([page.waitForEvent("download"), openDrawer(page).then(() => page.click("#download"))]);
  const { readFile } = await import("node:fs/promises");
  return JSON.parse(await readFile(await file.path(), "utf8"));
};
const openDrawer = (page) => page.locator("#drawer:not([open]) > summary").click({ timeout: 2_000 }).catch(() => {});

/** Synthesized speech is noise to a noise suppressor. */
const rawMicrophone = async (page) => {
  await page.click("#settings > summary");
  await page.getByLabel("Clean the microphone").uncheck();
};

const scenarios = {
  async typed(page) {
    await say(page, "Hello.");
    await entry(page, "model.done");
    await page.locator(".stages", { hasText: "first audio played" }).waitFor();
    await inState(page, "Typing only");
    return seen(page);
  },

  async spoken(page) {
    await rawMicrophone(page);
    await page.click("#talk");
    await entry(page, "tool.done", "get_weather");
    await entry(page, "model.done");
    await page.locator(".stages", { hasText: "first audio played" }).waitFor();
    return { ...(await seen(page)), events: await rows(page) };
  },

  async pushed(page) {
    await rawMicrophone(page);
    await page.getByLabel("Push to talk").check();
    await page.click("#talk");
    await inState(page, "Ready");
    await page.focus("#transcript");
    await page.keyboard.down(" ");
    await inState(page, "Hearing you");
    await page.waitForTimeout(3_500); // the recording, in real time
    await page.keyboard.up(" ");
    await entry(page, "model.done");
    return { ...(await seen(page)), events: await rows(page) };
  },

  async stopped(page) {
    await say(page, "Tell me a long story.");
    await inState(page, "Speaking");
    await page.waitForTimeout(700); // let some of it be heard
    await page.keyboard.press("Escape");
    await entry(page, "model.cut");
    return { ...(await seen(page)), events: await rows(page) };
  },

  async interrupted(page) {
    await rawMicrophone(page);
    await say(page, "Tell me a long story.");
    await inState(page, "Speaking");
    await page.click("#mute"); // "Use mic": the recording begins
    await entry(page, "model.cut");
    await entry(page, "tool.done", "get_weather");
    return { ...(await seen(page)), events: await rows(page) };
  },

  async colored(page) {
    const accent = () => page.evaluate(() => getComputedStyle(document.querySelector("#talk")).getPropertyValue("--accent"));
    const before = await accent();
    await say(page, "Set the color to purple.");
    await entry(page, "tool.done", "set_color");
    return { before, after: await accent(), ...(await seen(page)) };
  },

  async nomicrophone(page) {
    await page.click("#talk");
    await page.locator("#fault").waitFor();
    await inState(page, "Typing only");
    await say(page, "Hello.");
    await entry(page, "model.done");
    return seen(page);
  },

  async unreachable(page) {
    await page.context().setOffline(true);
    await say(page, "Hello.");
    await page.locator("#fault").waitFor();
    const offline = await seen(page);
    await page.context().setOffline(false);
    const kept = await page.inputValue("#text");
    await page.press("#text", "Enter");
    await entry(page, "model");
    return { ...offline, kept };
  },

  async keyboard(page) {
    const focused = () => page.evaluate(() => {
      const node = document.activeElement;
      const painted = node.matches(".segments input") ? node.nextElementSibling : node;
      const { outlineStyle, outlineWidth } = getComputedStyle(painted);
      return { id: node.id || node.name || node.innerText.slice(0, 12), ring: outlineStyle !== "none" && outlineWidth !== "0px" };
    });
    const order = [];
    for (let step = 0; step < 40; step++) {
      await page.keyboard.press("Tab");
      const now = await focused();
      if (order.some(({ id }) => id === now.id)) break;
      order.push(now);
    }
    await page.focus("#tab-ai-react");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    const code = await page.textContent("#snippet");
    await page.focus("#text");
    await page.keyboard.type("Tell me a long story.");
    await page.keyboard.press("Enter");
    await inState(page, "Speaking");
    await page.keyboard.press("Escape");
    await entry(page, "model.cut");
    await page.focus("#talk");
    await page.keyboard.press("Enter");
    await inState(page, "Not connected");
    return { order, code, ...(await seen(page)) };
  },

  async narrow(page) {
    const widths = [];
    const measure = async () => widths.push(await page.evaluate(() => document.documentElement.scrollWidth));
    await measure();
    await page.getByLabel("Push to talk").check();
    await page.click("#talk");
    await page.locator("#fault").waitFor();
    await inState(page, "Typing only");
    await measure();
    await say(page, "What is the weather in Paris? ".repeat(3) + "W".repeat(80));
    await entry(page, "model.done");
    await measure();
    await page.click("#settings > summary");
    await openDrawer(page);
    await measure();
    return { widths, ...(await seen(page)) };
  },
};

const MICROPHONE_OF = { spoken: "recording", pushed: "recording", interrupted: "recording" };
const name = options.scenario;
const browser = await chromium.launchPersistentContext(options.profile, {
  executablePath: options.chromium,
  headless: true,
  args: [...FLAGS, ...MICROPHONES[options.microphone ?? MICROPHONE_OF[name] ?? "none"]],
  viewport: name === "narrow" ? { width: 360, height: 740 } : { width: 1440, height: 900 },
});
const complaints = [];
try {
  const [page] = browser.pages();
  page.setDefaultTimeout(STEP_MS);
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.addInitScript(() => addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
    console.error(`CSP: ${violatedDirective} ${blockedURI}`)));
  await page.goto(options.url);
  await page.waitForFunction(() => document.querySelector("#model").value);
  const found = await scenarios[name](page).catch(async (error) => {
    throw new Error(`${error.message}\n${JSON.stringify({ complaints, ...(await seen(page)) }, null, 1)}`);
  });
  console.log(JSON.stringify({ ...found, complaints }));
} finally {
  await browser.close();
}
