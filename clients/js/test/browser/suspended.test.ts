/** A page that cannot play: the voice waits for it, and no word counts as heard meanwhile. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch, openPage } from "./e2e/chromium.js";
import { Server } from "./e2e/server.js";
import { makeSite, type Site } from "./e2e/site.js";
import { clicks } from "./e2e/sounds.js";
import { noTrouble, of, snapshot, until } from "./e2e/talks.js";
import { sleep } from "./e2e/times.js";

const WORDS = 12;
/** Longer than a listener who is gone is waited for here, and than a report is believed. */
const SUSPENDED_MS = 1500;
const VOICE_GAP_MS = 400;

let site: Site;
let server: Server;
let browser: Browser;

beforeAll(async () => {
  site = await makeSite();
  const settings = { voice_gap_ms: VOICE_GAP_MS, heartbeat_ms: 100 };
  server = await Server.start({ folder: site.folder, settings });
  await server.ready();
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
  site?.remove();
});

const words = (page: Page) => page.evaluate(() => window.e2e.talk("talk").words());

/** Stops the page's sound, as a telephone call does, or lets it go on. */
async function silence(page: Page, act: "suspend" | "resume"): Promise<void> {
  await page.evaluate(async (act) => {
    const context = window.e2e.talk("talk").client.output?.context as AudioContext;
    await context[act]();
  }, act);
}

async function heardToTheEnd(page: Page): Promise<void> {
  const ended = () => window.e2e.talk("talk").events.some(({ type }) => type === "utteranceEnded");
  await until(page, "the utterance ended", ended, undefined);
  const { events, heard } = await snapshot(page, "talk");
  expect(of(events, "botWord").map(({ event }) => event.index)).toEqual(
    Array.from({ length: WORDS }, (_, at) => at),
  );
  expect(of(events, "interrupted")).toEqual([]);
  expect(of(events, "utteranceEnded")[0]?.event.heardWords).toBe(WORDS);
  // what was played last before the silence may come again
  expect(clicks(heard).length - WORDS).toBeOneOf([0, 1]);
  await page.evaluate(() => window.e2e.talk("talk").client.disconnect());
  await noTrouble(page);
  await page.close();
}

test.each(["webrtc", "websocket"] as const)(
  "over %s a sentence waits while the page's sound is interrupted",
  async (transport) => {
    const page = await openPage(browser, server.url);
    await page.evaluate(
      async ({ transport, count }) => {
        const talk = window.e2e.make("talk", { transport });
        await talk.connect();
        await talk.client.sendText(`say ${count}`);
      },
      { transport, count: WORDS },
    );
    await until(page, "three words", () => window.e2e.talk("talk").words() >= 3, undefined);
    await silence(page, "suspend");
    const before = await words(page);
    await sleep(SUSPENDED_MS);
    expect(await words(page)).toBe(before);
    await silence(page, "resume");
    await heardToTheEnd(page);
  },
);

test.each(["webrtc", "websocket"] as const)(
  "over %s the first sentence waits while the browser blocks the page's sound",
  async (transport) => {
    const page = await openPage(browser, server.url);
    await page.evaluate(
      async ({ transport, count }) => {
        const talk = window.e2e.make("talk", { transport });
        talk.client.status.subscribe(() => {
          const context = talk.client.output?.context as AudioContext | undefined;
          if (talk.client.status.get().status !== "ready") void context?.suspend();
        });
        await talk.connect();
        await talk.client.sendText(`say ${count}`);
      },
      { transport, count: WORDS },
    );
    const announced = () =>
      window.e2e.talk("talk").events.some(({ type }) => type === "utteranceStarted");
    await until(page, "the sentence was announced", announced, undefined);
    await sleep(SUSPENDED_MS);
    expect(await words(page)).toBe(0);
    await silence(page, "resume");
    await heardToTheEnd(page);
  },
);
