/** A conversation in Firefox, as it is when installed, over both transports. */
import { join } from "node:path";
import type { Page } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Firefox, missing } from "./e2e/firefox.js";
import { Server } from "./e2e/server.js";
import { makeSite, type Site } from "./e2e/site.js";

/** Spoken into the greeting: the bot is interrupted by voice. */
const QUESTION = "show me paris on the map";
const ANSWER = "It is on your map: Paris,";
/** A page is looked at this often; Firefox's own waits poll each frame. */
const POLL = { polling: 100, timeout: 90_000 };
/** Where this runs without a network of its own, WebRTC's packets would need the machine's. */
const notApart = process.env.VOXWIRE_TEST_NOT_APART;

let site: Site;
let server: Server;
let firefox: Firefox | undefined;

if (missing) process.stdout.write(`firefox: not tried: ${missing}\n`);
test("there is a Firefox where setup may install one", () => {
  expect(process.env.CI ? missing : undefined).toBeUndefined();
  expect(process.env.CI ? notApart : undefined).toBeUndefined();
});

describe.skipIf(missing)("Firefox", () => {
  beforeAll(async () => {
    site = await makeSite();
    const wav = { path: join(site.folder, "question.wav"), text: QUESTION };
    server = await Server.start({ bot: "offline", folder: site.folder, wav });
    await server.ready();
    firefox = await Firefox.launch();
  });

  afterAll(async () => {
    await firefox?.close();
    await server?.stop();
    site?.remove();
  });

  async function begin(transport: "auto" | "webrtc" | "websocket"): Promise<Page> {
    if (!firefox) throw new Error("no browser");
    const page = await firefox.open(server.url, "/page/question.wav");
    await page.evaluate(
      (transport) => window.e2e.make("talk", { transport }, false).connect(),
      transport,
    );
    return page;
  }

  const snapshot = (page: Page) =>
    page.evaluate(() => {
      const { events, calls } = window.e2e.talk("talk");
      const words = events.filter(({ type }) => type === "botWord").map(({ event }) => event);
      const carriers = events.filter(({ type }) => type === "pathChanged");
      return {
        words: words as { utteranceId: string; text: string }[],
        heard: events
          .filter(({ type }) => type === "userTranscript")
          .map(({ event }) => (event as { text: string }).text),
        carriers: carriers.map(({ event }) => (event as { carrier: string }).carrier),
        calls,
        troubles: window.e2e.troubles,
      };
    });

  test.skipIf(notApart).for(["webrtc", "websocket"] as const)(
    "over %s a spoken question is understood, a tool runs, the answer is heard",
    async (transport) => {
      const page = await begin(transport);
      await page
        .waitForFunction(() => {
          const { events } = window.e2e.talk("talk");
          const called = events.findIndex(({ type }) => type === "toolCallEnded");
          return called >= 0 && events.slice(called).some(({ type }) => type === "utteranceEnded");
        }, POLL)
        .catch(async (cause: unknown) => {
          const told = await page.evaluate(() => window.e2e.talk("talk").events.slice(-25));
          throw new Error(`no answer; last events ${JSON.stringify(told)}`, { cause });
        });
      const { words, heard, carriers, calls, troubles } = await snapshot(page);
      expect(carriers).toEqual([transport]);
      expect(heard.at(-1)).toBe(QUESTION);
      expect(calls).toEqual([{ name: "show_on_map", args: { place: "Paris" } }]);
      const last = words.filter(({ utteranceId }) => utteranceId === words.at(-1)?.utteranceId);
      expect(last.map(({ text }) => text).join(" ")).toContain(ANSWER);
      expect(troubles).toEqual([]);
      await page.evaluate(() => window.e2e.talk("talk").client.disconnect());
      await page.close();
    },
  );

  test.skipIf(notApart)("by itself it takes WebRTC", async () => {
    const page = await begin("auto");
    expect((await snapshot(page)).carriers).toEqual(["webrtc"]);
    await page.evaluate(() => window.e2e.talk("talk").client.disconnect());
    await page.close();
  });
});
