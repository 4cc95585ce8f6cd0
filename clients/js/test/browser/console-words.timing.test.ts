/** The console with the bot of clicks: words light up when they sound, and stand still. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Console, FOLDER, TRANSPORTS } from "./console/page.js";
import { launch } from "./e2e/chromium.js";
import { Server } from "./e2e/server.js";
import { clicks, pageClock } from "./e2e/sounds.js";
import { say, timing } from "./e2e/stalls.js";
import { quantile, round, sleep } from "./e2e/times.js";

/** What the client promises on a quiet machine (clicks.timing.test.ts), and what a busy one is
 * given; a frame for React to draw what it was told. */
const PROMISED = { websocket: { p50: 20, p95: 45 }, webrtc: { p50: 30, p95: 60 } };
const FRAME_MS = 17;
const FACTOR = 3;
const WORDS = 12;

let server: Server;
let browser: Browser;

beforeAll(async () => {
  server = await (await Server.start({ folder: FOLDER })).ready();
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

/** Where the words of the page are, beside what holds them. */
const places = (console: Console) =>
  console.page.evaluate(() => {
    const box = document.querySelector(".turns")?.getBoundingClientRect();
    return [...document.querySelectorAll('[data-testid="word"]')].map((word) => {
      const { left, top, width, height } = word.getBoundingClientRect();
      return [left - (box?.left ?? 0), top - (box?.top ?? 0), width, height].map(Math.round);
    });
  });

describe.each(TRANSPORTS)("over %s", (transport) => {
  test("words light up with their sound, in order, and nothing moves", async () => {
    await timing("words light up while they sound", async () => {
      const console = await Console.open(browser, `${server.url}/`);
      await console.connect(transport);
      await console.say(`say ${WORDS}`);
      await console.until(
        "all words are shown",
        (count) => document.querySelectorAll(".word").length === count,
        WORDS,
      );
      const before = await places(console);
      const fromMs = await console.page.evaluate(() => performance.now());
      await console.lit(WORDS);
      await sleep(200);
      const after = await places(console);
      const { heard, behind, words, shifts } = await console.ears();
      await console.close();

      const lit = words.filter(({ state }) => state === "heard");
      const onsets = clicks(heard);
      const pageMs = pageClock(behind);
      const errors = lit.map(({ atMs }, at) => Math.abs(atMs - pageMs(onsets[at] ?? Number.NaN)));
      const [p50, p95] = [quantile(errors, 0.5), quantile(errors, 0.95)];
      const promised = PROMISED[transport];
      say(
        `${transport}: ${lit.length} words lit beside their sound by p50 ${round(p50)},` +
          ` p95 ${round(p95)} ms`,
      );
      expect(lit.map(({ index }) => index)).toEqual(Array.from({ length: WORDS }, (_, n) => n));
      expect(onsets).toHaveLength(WORDS);
      expect(p50).toBeLessThan(FACTOR * (promised.p50 + FRAME_MS));
      expect(p95).toBeLessThan(FACTOR * (promised.p95 + FRAME_MS));

      expect(after).toEqual(before);
      expect(lit.filter(({ atMs }) => atMs > fromMs).length).toBeGreaterThan(2);
      const toMs = lit.at(-1)?.atMs ?? 0;
      expect(shifts.filter(({ atMs }) => atMs > fromMs && atMs < toMs)).toEqual([]);
    });
  });
});
