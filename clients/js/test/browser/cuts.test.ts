/** Connections that break in the middle of a sentence: the session goes on as if nothing had been. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch, openPage } from "./e2e/chromium.js";
import type { Noted } from "./e2e/page/page.js";
import { Server } from "./e2e/server.js";
import { makeSite, type Site } from "./e2e/site.js";
import { say } from "./e2e/stalls.js";
import { noTrouble, nothingHeld, of, snapshot, until } from "./e2e/talks.js";
import { quantile, sleep } from "./e2e/times.js";
import { Wire } from "./e2e/wire.js";

const CUTS = 10;
/** How long the network refuses connections after a cut. */
const DARK_MS = 300;

const folder = mkdtempSync(join(tmpdir(), "voxwire-cuts-"));
const wire = new Wire();
let site: Site;
let server: Server;
let browser: Browser;

beforeAll(async () => {
  site = await makeSite();
  await wire.open();
  server = await Server.start({
    folder: site.folder,
    public_port: wire.port,
    ledger: join(folder, "ledger"),
  });
  wire.target = server.port;
  await server.ready();
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
  wire.cut();
  site?.remove();
  rmSync(folder, { recursive: true });
});

/** A session that speaks and counts. */
async function begin(transport: "websocket" | "webrtc") {
  const page = await openPage(browser, server.url);
  await page.evaluate(async (transport) => {
    const talk = window.e2e.make("talk", { transport });
    await talk.connect();
    await talk.keepTalking();
    talk.count();
  }, transport);
  await sounding(page);
  return page;
}

/** Waits for a word that had not been heard. */
async function sounding(page: Page): Promise<void> {
  const before = await page.evaluate(() => window.e2e.talk("talk").words());
  const more = (before: number) => window.e2e.talk("talk").words() > before;
  await until(page, "another word was heard", more, before);
}

const now = (page: Page) => page.evaluate(() => performance.now());

/** The sessions that a client was in. */
function ids(events: readonly Noted[]): string[] {
  const statuses = of(events, "status").map(({ event }) => event);
  return [...new Set(statuses.flatMap((one) => (one.status === "ready" ? [one.sessionId] : [])))];
}

/** Ends a session; what either side sent and the other had is the same. */
async function compare(page: Page): Promise<void> {
  await page.evaluate(() => window.e2e.talk("talk").stopCounting());
  const begun = await snapshot(page, "talk");
  const [id = ""] = ids(begun.events);
  // what was sent by now arrives, and what was counted, however late a busy machine is
  const least = server.messages(id, "sent").length;
  const had = (least: number) => window.e2e.talk("talk").delivered.length >= least;
  await until(page, `${least} messages were delivered`, had, least);
  const got = () => server.messages(id, "got");
  await expect.poll(() => got().length, { timeout: 30_000 }).toBeGreaterThanOrEqual(begun.counted);
  const { events, delivered, counted } = await snapshot(page, "talk");
  expect(ids(events)).toEqual([id]);
  expect(of(events, "eventsSkipped")).toEqual([]);
  expect(of(events, "sessionStarted")).toHaveLength(1);

  const sent = server.messages(id, "sent");
  expect(delivered.length).toBeGreaterThan(50);
  expect(delivered).toEqual(sent.slice(0, delivered.length));
  expect(got()).toEqual(Array.from({ length: counted }, (_, n) => String(n)));

  // no word twice
  const words = of(events, "botWord").map(({ event }) => `${event.utteranceId} ${event.index}`);
  expect(new Set(words).size).toBe(words.length);
  await page.evaluate(() => window.e2e.talk("talk").client.disconnect());
  await noTrouble(page);
  await nothingHeld(page);
  await page.close();
}

/** What a client noticed of a cut. */
async function turnings(page: Page, cutMs: number) {
  await until(page, "ready again", (after) => window.e2e.talk("talk").readySince(after), cutMs);
  return page.evaluate((after) => window.e2e.talk("talk").turnings(after), cutMs);
}

const shown = (values: readonly number[]) =>
  `p50 ${quantile(values, 0.5).toFixed(0)}, worst ${Math.max(...values).toFixed(0)} ms`;

test("the control socket is cut in mid-sentence, over both transports", async () => {
  const noticed: number[] = [];
  const back: number[] = [];
  const spoke: number[] = [];
  const pages = await Promise.all([begin("websocket"), begin("webrtc")]);
  for (let round = 0; round < CUTS / 2; round += 1) {
    const cutMs = await Promise.all(pages.map(now));
    wire.cut();
    await sleep(DARK_MS);
    const openMs = await Promise.all(pages.map(now));
    await wire.open();
    const each = pages.map(async (page, at) => {
      const { reconnecting, ready } = await turnings(page, cutMs[at] ?? 0);
      noticed.push(reconnecting - (cutMs[at] ?? 0));
      back.push(ready - (openMs[at] ?? 0));
      await sounding(page);
      spoke.push((await now(page)) - (openMs[at] ?? 0));
    });
    await Promise.all(each);
    await sleep(150 + 90 * round);
  }
  say(`control cut: reconnecting after ${shown(noticed)}; with the network there, ready after`);
  say(`  ${shown(back)}, next word ${shown(spoke)}`);
  expect(noticed).toHaveLength(CUTS);
  for (const page of pages) await compare(page);
});

test("the WebRTC path breaks in mid-sentence: packets are lost, or the path dropped", async () => {
  const noticed: number[] = [];
  const back: number[] = [];
  const spoke: number[] = [];
  const pages = await Promise.all([begin("webrtc"), begin("webrtc")]);
  for (let round = 0; round < CUTS / 2; round += 1) {
    const paths = await Promise.all(pages.map(path));
    const cutMs = await Promise.all(pages.map(now));
    if (round % 2 === 0) server.cutMedia();
    else await Promise.all(pages.map(drop));
    const each = pages.map(async (page, at) => {
      const { reconnecting, ready } = await turnings(page, cutMs[at] ?? 0);
      noticed.push(reconnecting - (cutMs[at] ?? 0));
      back.push(ready - reconnecting);
      expect(await path(page)).toBeGreaterThan(paths[at] ?? 0);
      await sounding(page);
      spoke.push((await now(page)) - reconnecting);
    });
    await Promise.all(each);
    await sleep(150 + 90 * round);
  }
  say(`media cut: reconnecting after ${shown(noticed)}; from there, ready after ${shown(back)},`);
  say(`  next word ${shown(spoke)}`);
  expect(noticed).toHaveLength(CUTS);
  for (const page of pages) await compare(page);
});

const path = (page: Page) => page.evaluate(() => window.e2e.talk("talk").path());
const drop = (page: Page) =>
  page.evaluate(() => window.e2e.talk("talk").client.simulate.dropMedia());
