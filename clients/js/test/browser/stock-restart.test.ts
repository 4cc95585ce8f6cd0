/** A network that fails under Pipecat's own client: nothing is lost, and its session goes on. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FAKE_DEVICE, FAKE_USER, launch } from "./e2e/chromium.js";
import { Server } from "./e2e/server.js";
import type { Site } from "./e2e/site.js";
import { INSTALLED, makeStockSite, nobodyIsThere, POLICY, Stock, sessionsOf } from "./e2e/stock.js";

/** The server takes a client for gone before the page tries again, and waits for it then. */
const SETTINGS = { voice_gap_ms: 60_000, hello_timeout_ms: 60_000, dead_after_ms: 8000 };
/** A blackout that stock Pipecat loses events in. */
const DARK_MS = 3000;

let site: Site;
let server: Server;
let browser: Browser;

beforeAll(async () => {
  if (!INSTALLED) return;
  site = await makeStockSite();
  const options = { bot: "open", folder: site.folder, policy: POLICY } as const;
  server = await Server.start({ ...options, settings: SETTINGS });
  await server.ready();
  browser = await launch([FAKE_DEVICE, FAKE_USER]);
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
  site?.remove();
});

/** What was told of the story, by the numbers of its words. */
const told = (stock: Stock) =>
  stock.run(() => {
    const words = window.stock.of("onBotTtsText");
    const story = words.find(({ text }) => text === "lighthouse")?.utterance_id;
    return words
      .filter(({ utterance_id: id }) => id === story)
      .map(({ word_index: index }) => index as number);
  });

/** Waits until more of the story is told than there was. */
async function tellsMore(stock: Stock): Promise<void> {
  const known = (await stock.of("onBotTtsText")).length;
  const more = (known: number) => window.stock.of("onBotTtsText").length > known + 2;
  await stock.until("the story goes on", more, known);
}

/** Nothing passes for three seconds, in the middle of a sentence. */
async function survivesABlackout(stock: Stock): Promise<void> {
  server.cutMedia();
  await stock.run(async (darkMs) => {
    const untilMs = performance.now() + darkMs;
    for (let n = 0; performance.now() < untilMs; n += 1) {
      window.stock.sendMessage("note", n);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }, DARK_MS);
  server.healMedia();
  const notes = (await stock.run(() => window.stock.request("notes"))) as [string, number][];
  expect(notes.length).toBeGreaterThan(9);
  expect(notes).toEqual(notes.map((_, n) => ["note", n]));
  await tellsMore(stock);
}

describe.skipIf(!INSTALLED)("a network that fails", () => {
  test("loses nothing of a session, which goes on over another connection", async () => {
    const stock = await Stock.open(browser, server.url, "webrtc");
    const offers: unknown[] = [];
    stock.page.on("request", (request) => {
      if (request.url().includes("/api/offer") && request.method() === "POST") {
        offers.push(request.postDataJSON());
      }
    });
    await stock.connect({ how: "start", endpoint: `${server.url}/start` });
    await stock.types("my name is emma", "Emma");
    await stock.run(() => window.stock.sendText("tell me a long story"));
    await stock.speaks("lighthouse");

    await survivesABlackout(stock);
    expect(offers).toHaveLength(1);

    server.cutMedia();
    await expect.poll(() => offers.length, { timeout: 60_000 }).toBe(2);
    expect(offers[1]).toMatchObject({ restart_pc: true });
    await tellsMore(stock);
    await stock.types("what is my name", "Emma");
    const words = await told(stock);
    expect(words).toEqual(words.map((_, index) => index));
    expect((await stock.of("onBotReady")).length).toBe(1);
    expect(await sessionsOf(server)).toBe(1);
    await stock.run(() => window.stock.disconnect());
    await nobodyIsThere(server);
    await stock.close();
  });
});
