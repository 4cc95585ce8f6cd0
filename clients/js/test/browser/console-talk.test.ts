/** A conversation on the console with the offline bot, by voice and by hand, over both transports. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Console, FOLDER, TRANSPORTS } from "./console/page.js";
import { speak } from "./console/processes.js";
import { FAKE_DEVICE, FAKE_USER, launch } from "./e2e/chromium.js";
import { Server } from "./e2e/server.js";
import { soundBetween } from "./e2e/sounds.js";

/** What the user says as soon as the microphone opens, and how long it gives silence then. */
const QUESTION = "what is the weather in paris";
const LEAD_S = 0.3;
const TRAIL_S = 40;
const WAV_HEADER_BYTES = 44;
/** A conversation is never shorter. */
const TALKED_S = 4;

const folder = mkdtempSync(join(tmpdir(), "voxwire-console-"));
/** Is read anew by every microphone that opens. */
const microphone = join(folder, "microphone.wav");
const question = join(folder, "question.wav");
const silence = join(folder, "silence.wav");
let server: Server;
let browser: Browser;

beforeAll(async () => {
  await speak(question, LEAD_S, QUESTION, TRAIL_S);
  writeFileSync(silence, readFileSync(question).fill(0, WAV_HEADER_BYTES));
  server = await (await Server.start({ bot: "offline", folder: FOLDER })).ready();
  const file = `--use-file-for-fake-audio-capture=${microphone}%noloop`;
  browser = await launch([FAKE_DEVICE, FAKE_USER, file]);
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** What was heard comes first, the rest is cut. */
function expectCut(words: Awaited<ReturnType<Console["words"]>>): void {
  const firstCut = words.findIndex(({ state }) => state === "cut");
  expect(firstCut).toBeGreaterThan(0);
  const states = words.map((_, at) => (at < firstCut ? "heard" : "cut"));
  expect(words.map(({ state }) => state)).toEqual(states);
}

/** Waits until so many tracks of a microphone are open. */
const live = (console: Console, count: number) =>
  expect.poll(async () => (await console.held()).tracks, { timeout: 60_000 }).toBe(count);

/** A phrase as a button has a long story told, as the bot's turn at a place among its turns. */
async function tell(console: Console, turn: number): Promise<void> {
  expect(await console.at("phrase").count()).toBe(3);
  await console.at("phrase").filter({ hasText: "long story" }).click();
  await console.turns("user").filter({ hasText: "long story" }).last().waitFor();
  // Words are told as they are made: there is something to cut once some are ahead of the voice.
  const told = (turn: number) => {
    const story = document.querySelectorAll('.turn[data-role="bot"]')[turn];
    const count = (state: string) =>
      story?.querySelectorAll(`.word[data-state="${state}"]`).length ?? 0;
    return count("heard") > 2 && count("unheard") > 5;
  };
  await console.until("the story is told", told, turn);
}

/** Asks into what is heard, however long that took: the microphone is opened once more. */
async function ask(console: Console): Promise<void> {
  await console.at("mic").click();
  await live(console, 0);
  copyFileSync(question, microphone);
  await console.at("mic").click();
}

/** A story is cut by the user's voice; the question is answered with a tool's help. */
async function byVoice(console: Console): Promise<void> {
  await console.lit(1); // the greeting
  await tell(console, 1);
  await ask(console);
  const asked = (question: string) =>
    [...document.querySelectorAll('.turn[data-role="user"]')].some((turn) =>
      turn.textContent?.includes(question),
    );
  await console.until("the question was heard", asked, QUESTION);
  copyFileSync(silence, microphone);
  const card = console.at("tool-card").first();
  await card.waitFor({ timeout: 90_000 });
  await console.until("the answer was heard", () => {
    const answer = [...document.querySelectorAll('.turn[data-role="bot"]')][2];
    const words = [...(answer?.querySelectorAll(".word") ?? [])];
    return words.length > 3 && words.every((word) => word.getAttribute("data-state") === "heard");
  });
  expectCut(await console.words(1));
  expect(await card.getAttribute("data-status")).toBe("done");
  expect(await card.innerText()).toMatch(/get_weather[\s\S]*paris/i);

  const { heard, behind, words } = await console.ears();
  const lit = words.filter(({ state }) => state === "heard");
  const order = lit.map(({ index }) => index);
  expect(order).toEqual(order.toSorted((one, two) => one - two));
  expect(new Set(order).size).toBe(order.length);
  const answer = lit.filter(({ index }) => index > (words.findLast(isCut)?.index ?? -1));
  const [first, last] = [answer[0]?.atMs ?? 0, answer.at(-1)?.atMs ?? 0];
  // a machine that is too slow for real time leaves holes in it; words that are not spoken have none
  expect(soundBetween(heard, behind, first, last)).toBeGreaterThan(0.25);
}

const isCut = ({ state }: { readonly state: string }) => state === "cut";

/** The bars of the last wait are the whole of it. */
async function waterfall(console: Console): Promise<void> {
  await console.at("total").waitFor();
  const total = Number(await console.at("total").innerText());
  const cells = console.at("waterfall").locator("[data-ms]");
  const ms = await cells.evaluateAll((all) =>
    all.map((cell) => Number(cell.getAttribute("data-ms"))),
  );
  expect(ms.length).toBeGreaterThanOrEqual(5);
  expect(ms.reduce((sum, one) => sum + one, 0)).toBe(total);
}

/** What is typed cuts a story short, and is answered. */
async function byHand(console: Console): Promise<void> {
  await tell(console, 3);
  await console.say("what time is it");
  await console.turns("user").filter({ hasText: "what time is it" }).waitFor();
  await console.until("an answer to what was typed", () => {
    const turns = document.querySelectorAll('.turn[data-role="bot"]');
    return (turns[4]?.querySelectorAll('.word[data-state="heard"]').length ?? 0) > 1;
  });
  expectCut(await console.words(3));
}

async function devices(console: Console): Promise<void> {
  await console.at("devices").click();
  for (const kind of ["microphone", "speaker"]) {
    const names = await console.at(`device-${kind}`).locator("option").allTextContents();
    expect(names.length).toBeGreaterThan(0);
    expect(names.every((name) => name !== "")).toBe(true);
  }
  await console.page.keyboard.press("Escape");
  expect(await console.at("device-microphone").isVisible()).toBe(false);
}

/** Off means that nothing is captured; the space bar opens it while it is held. */
async function muting(console: Console): Promise<void> {
  const pressed = () => console.at("mic").getAttribute("aria-pressed");
  await live(console, 1);
  await console.at("mic").click();
  await live(console, 0);
  expect(await pressed()).toBe("false");
  await console.at("captions").focus();
  await console.page.keyboard.down("Space");
  await live(console, 1);
  expect(await pressed()).toBe("true");
  await console.page.keyboard.up("Space");
  await live(console, 0);
  await console.at("mic").click();
  await live(console, 1);
}

/** What a button saves. */
async function saved(console: Console, button: string): Promise<Buffer> {
  const download = console.page.waitForEvent("download");
  await console.at(button).click();
  return readFileSync(await (await download).path());
}

/** Loudest sample of a channel of a stereo WAV, 0 … 1. */
function loudest(wav: Buffer, channel: number): number {
  let peak = 0;
  for (let at = 44 + channel * 2; at + 1 < wav.length; at += 4)
    peak = Math.max(peak, Math.abs(wav.readInt16LE(at)));
  return peak / 32_768;
}

/** The conversation stays whole, can be read to its beginning, and saved three ways. */
async function saving(console: Console): Promise<void> {
  const captions = console.at("captions");
  await captions.evaluate((box) => box.scrollTo(0, 0));
  const [box, first] = await Promise.all([
    captions.boundingBox(),
    console.page.locator(".turn").first().boundingBox(),
  ]);
  expect(box?.height).toBeGreaterThan(250);
  expect(first?.y).toBeGreaterThanOrEqual(box?.y ?? 0);
  const text = (await saved(console, "save-text")).toString();
  expect(text).toContain(`You: ${QUESTION}`);
  expect(text).toMatch(/^Bot: .* \[not heard: .+\]$/m);
  const json = JSON.parse((await saved(console, "save-json")).toString());
  expect(json).toMatchObject({ bot: "offline" });
  expect(json.turns).toHaveLength(await console.page.locator(".turn").count());
  const wav = await saved(console, "save-wav");
  const [channels, rate] = [wav.readUInt16LE(22), wav.readUInt32LE(24)];
  expect([channels, wav.readUInt32LE(40)]).toEqual([2, wav.length - 44]);
  expect((wav.length - 44) / 4 / rate).toBeGreaterThan(TALKED_S);
  expect([loudest(wav, 0) > 0.05, loudest(wav, 1) > 0.05]).toEqual([true, true]);
}

test.each(TRANSPORTS)(
  "over %s: a spoken question, a tool, barge-in, text, devices, muting, the end",
  async (transport) => {
    copyFileSync(silence, microphone);
    const console = await Console.open(browser, `${server.url}/`, { still: true });
    await console.connect(transport);
    await byVoice(console);
    await waterfall(console);
    if (transport === "webrtc") expect(await console.violations()).toEqual([]);
    await byHand(console);
    await devices(console);
    await muting(console);
    expect(await console.at("bot").innerText()).toBe("Bot: offline (built in)");
    await console.at("disconnect").click();
    await console.state("closed");
    await saving(console);
    await console.close();
  },
);
