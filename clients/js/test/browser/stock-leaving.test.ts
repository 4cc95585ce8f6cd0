/** A server that leaves tells Pipecat's own clients so, and ends them in order. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FAKE_DEVICE, FAKE_USER, launch } from "./e2e/chromium.js";
import { Server } from "./e2e/server.js";
import type { Site } from "./e2e/site.js";
import { INSTALLED, makeStockSite, POLICY, Stock } from "./e2e/stock.js";

const LEFT_MS = 4000;
const SETTINGS = { voice_gap_ms: 60_000, drain_ms: LEFT_MS };

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

describe.skipIf(!INSTALLED)("a server that leaves", () => {
  test("says so to every client, and lets each finish until its time is over", async () => {
    const pages: Stock[] = [];
    for (const transport of ["webrtc", "websocket"] as const) {
      const stock = await Stock.open(browser, server.url, transport);
      await stock.connect({ how: "start", endpoint: `${server.url}/start` });
      await stock.run(() => window.stock.sendText("tell me a long story"));
      await stock.speaks("lighthouse");
      pages.push(stock);
    }
    const ended = server.leave();
    for (const stock of pages) {
      await stock.until("it is told", () => window.stock.of("onServerMessage").length > 0);
      const [told] = await stock.of("onServerMessage");
      expect(told).toMatchObject({ t: "go-away", d: { reason: expect.any(String) } });
      expect(told.d.time_left_ms).toBeGreaterThan(0);
      expect(told.d.time_left_ms).toBeLessThanOrEqual(LEFT_MS); // real time: order
    }
    for (const stock of pages) {
      await stock.until("it ends", () => window.stock.of("onDisconnected").length > 0);
      const seen = await stock.run(() => window.stock.events.map(({ type }) => type));
      const at = seen.indexOf("onServerMessage");
      expect(seen.indexOf("onDisconnected")).toBeGreaterThan(at);
      expect(seen.slice(at), "the story goes on meanwhile").toContain("onBotTtsText");
      // websocket-transport makes an error of every close that is not its own, in order or not
      const errors = (await stock.of("onError")).map(({ data }) => data.error);
      const closed = "websocket connection closed. Code: 1000";
      expect(errors).toEqual(stock.transport === "websocket" ? [closed] : []);
    }
    await ended;
    for (const stock of pages) await stock.close();
  });
});
