/** Sessions come and go, and leave nothing in the page. */
import type { Browser, CDPSession, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch, openPage } from "./e2e/chromium.js";
import { Server } from "./e2e/server.js";
import { makeSite, type Site } from "./e2e/site.js";
import { say } from "./e2e/stalls.js";
import { noTrouble, nothingHeld, until } from "./e2e/talks.js";
import { sleep } from "./e2e/times.js";

const CYCLES = 20;
/** By then the page has compiled and cached what it keeps. */
const WARM = 6;
/** The heap may grow by this much between then and the end, bytes: code that got optimised. */
const SLACK = 400_000;
const KINDS = ["AudioContext", "RTCPeerConnection", "MediaStreamTrack", "AudioWorkletNode"];

let site: Site;
let server: Server;
let browser: Browser;

beforeAll(async () => {
  site = await makeSite();
  server = await (await Server.start({ folder: site.folder })).ready();
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
  site?.remove();
});

/** How many objects of a kind the garbage collector has left. */
async function count(devtools: CDPSession, kind: string): Promise<number> {
  const options = { expression: `${kind}.prototype`, objectGroup: "count" };
  const { result } = await devtools.send("Runtime.evaluate", options);
  const found = await devtools.send("Runtime.queryObjects", {
    prototypeObjectId: result.objectId ?? "",
    objectGroup: "count",
  });
  const { result: number } = await devtools.send("Runtime.callFunctionOn", {
    functionDeclaration: "function () { return this.length }",
    objectId: found.objects.objectId ?? "",
    returnByValue: true,
  });
  await devtools.send("Runtime.releaseObjectGroup", { objectGroup: "count" });
  return number.value as number;
}

async function look(devtools: CDPSession) {
  for (let again = 0; again < 3; again += 1) await devtools.send("HeapProfiler.collectGarbage");
  const { usedSize } = await devtools.send("Runtime.getHeapUsage");
  const counts: Record<string, number> = {};
  for (const kind of KINDS) counts[kind] = await count(devtools, kind);
  return { usedSize, counts };
}

/** Looks until no more is left than before: the browser lets go of devices in its own time. */
async function settled(devtools: CDPSession, before: Readonly<Record<string, number>>) {
  for (let tries = 1; ; tries += 1) {
    const left = await look(devtools);
    const more = KINDS.some((kind) => (left.counts[kind] ?? 0) > (before[kind] ?? 0));
    if (!more || tries === 50) return left;
    await sleep(500);
  }
}

async function cycle(page: Page, transport: "websocket" | "webrtc"): Promise<void> {
  await page.evaluate(async (transport) => {
    const talk = window.e2e.make("talk", { transport }, false);
    await talk.connect();
    await talk.client.sendText("say 1");
  }, transport);
  await until(page, "a word was heard", () => window.e2e.talk("talk").words() > 0);
  await page.evaluate(() => window.e2e.talk("talk").client.disconnect());
}

test("20 connects and disconnects leave contexts, tracks, connections and the heap flat", async () => {
  const page = await openPage(browser, server.url);
  const devtools = await page.context().newCDPSession(page);
  let warm: Awaited<ReturnType<typeof look>> | undefined;
  for (let number = 0; number < CYCLES; number += 1) {
    await cycle(page, number % 2 === 0 ? "webrtc" : "websocket");
    await nothingHeld(page);
    if (number === WARM - 1) warm = await look(devtools);
  }
  await page.evaluate(() => delete window.e2e.talks.talk);
  const left = await settled(devtools, warm?.counts ?? {});
  const grown = left.usedSize - (warm?.usedSize ?? 0);
  const objects = KINDS.map((kind) => `${kind} ${warm?.counts[kind]} then ${left.counts[kind]}`);
  say(
    `cycles ${WARM} to ${CYCLES}: heap ${(grown / 1000).toFixed(0)} kB more; ${objects.join(", ")}`,
  );
  expect(grown).toBeLessThan(SLACK);
  for (const kind of KINDS) {
    expect(left.counts[kind], kind).toBeLessThanOrEqual(warm?.counts[kind] ?? 0);
  }
  await noTrouble(page);
  await page.close();
});
