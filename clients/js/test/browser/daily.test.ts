/**
 * Through a room of which the page knows no timestamps: words fire with their sound, and what was
 * heard is known. What stands for Daily is WebRTC, so sound goes as Opus and through Chromium's
 * jitter buffer; nothing here is a figure of Daily's.
 */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch, openPage } from "./e2e/chromium.js";
import { Server } from "./e2e/server.js";
import { makeSite, type Site } from "./e2e/site.js";
import { clicks, pageClock } from "./e2e/sounds.js";
import { noTrouble, nothingHeld, of, snapshot, until } from "./e2e/talks.js";
import { quantile, round, sleep } from "./e2e/times.js";

const WORDS = 16;
const CUTS = 3;

let site: Site;
let server: Server;
let browser: Browser;

beforeAll(async () => {
  site = await makeSite();
  server = await (await Server.start({ folder: site.folder, daily: true })).ready();
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
  site?.remove();
});

async function ask(page: Page, text: string): Promise<void> {
  await page.evaluate((text) => {
    window.e2e.talk("talk").forget();
    return window.e2e.talk("talk").client.sendText(text);
  }, text);
}

const ended = () => window.e2e.talk("talk").events.some(({ type }) => type === "utteranceEnded");

test("words fire in order, each once, near their sound, and cuts are known to a word", async () => {
  const page = await openPage(browser, server.url);
  await page.evaluate(() => window.e2e.make("talk", { transport: "daily" }).connect());
  await ask(page, `say ${WORDS}`);
  await until(page, "the end of the utterance", ended);
  await sleep(300);
  const { events, heard, behind } = await snapshot(page, "talk");
  const fired = of(events, "botWord");
  expect(fired.map(({ event }) => event.index)).toEqual(Array.from({ length: WORDS }, (_, n) => n));
  const onsets = clicks(heard).map(pageClock(behind));
  expect(onsets).toHaveLength(WORDS);
  const off = fired.map(({ atMs }, n) => atMs - (onsets[n] ?? Number.NaN));
  const far = off.map(Math.abs);
  process.stdout.write(
    `words: ${round(quantile(far, 0.5))} ms (p50), ${round(quantile(far, 0.95))} ms (p95) off\n`,
  );
  expect(quantile(far, 0.5)).toBeLessThan(150); // real time: order
  expect(of(events, "utteranceEnded")[0]?.event.heardSource).toBe("server_clock");

  const wrong: number[] = [];
  for (let number = 0; number < CUTS; number += 1) {
    await ask(page, "say 30");
    const began = () => window.e2e.talk("talk").words() >= 2;
    await until(page, "two words were heard", began);
    await sleep(47 * number);
    await page.evaluate(() => window.e2e.talk("talk").client.interrupt());
    await until(page, "the end of the utterance", ended);
    await sleep(400);
    const cut = await snapshot(page, "talk");
    const told = of(cut.events, "utteranceEnded")[0]?.event.heardWords ?? -1;
    wrong.push(told - clicks(cut.heard).length);
  }
  process.stdout.write(`heard words less clicks: ${wrong.join(" ")}\n`);
  expect(wrong.filter((words) => Math.abs(words) > 1)).toEqual([]);
  await page.evaluate(() => window.e2e.talk("talk").client.disconnect());
  await noTrouble(page);
  await nothingHeld(page);
  await page.close();
});
