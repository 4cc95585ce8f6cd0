/** A page that talks to an unmodified bot of Pipecat's runner: the whole list, over both of its
 * transports, and over a token. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FAKE_DEVICE, FAKE_USER, LOCALHOST, launch, openPage } from "./e2e/chromium.js";
import { ROOT } from "./e2e/folders.js";
import { addProgram, makeSite, type Site } from "./e2e/site.js";
import { soundBetween } from "./e2e/sounds.js";
import { type StaticSite, serveStatic } from "./e2e/static-site.js";
import { StockBot } from "./e2e/stock-bot.js";
import { noTrouble, nothingHeld, of, snapshot, until } from "./e2e/talks.js";

/** Spoken into the greeting: the bot is interrupted by voice. */
const QUESTION = "show me paris on the map";
const ANSWER = "It is on your map: Paris.";
/** Milliseconds of sound: less than is heard of the greeting, and of the answer. */
const LEAST_SOUND = 300;
/** What was on its way into the output when the bot was cut, milliseconds. */
const ON_ITS_WAY_MS = 250;
const HOUR_MS = 3_600_000;
let site: Site;
let pages: StaticSite;
let bot: StockBot;
let guarded: StockBot;
/** One that does not live to the end. */
let mortal: StockBot;
let browser: Browser;

beforeAll(async () => {
  site = await makeSite();
  const speech = { [join(site.folder, "question.wav")]: QUESTION };
  [bot, guarded, mortal] = await Promise.all([
    StockBot.start({ speech }),
    StockBot.start({ arguments: ["--ws-auth", "token"] }),
    StockBot.start(),
  ]);
  pages = await serveStatic(site.folder, [bot.url, guarded.url, mortal.url]);
  browser = await launch([FAKE_DEVICE, FAKE_USER, LOCALHOST]);
});

afterAll(async () => {
  await browser?.close();
  await Promise.all([bot?.stop(), guarded?.stop(), mortal?.stop(), pages?.stop()]);
  site?.remove();
});

type Transport = "websocket" | "webrtc";

/** Opens a page whose client is connected to a bot. */
async function connected(transport: Transport, url: string, options: { start?: boolean } = {}) {
  const page = await openPage(browser, pages.url, [bot.url, guarded.url, mortal.url]);
  const features = await page.evaluate(
    async ({ url, transport, options }) => {
      window.e2e.giveMouth();
      const peer = window.e2e.pipecatBot(options);
      const talk = window.e2e.make("talk", { url, transport, peer });
      const { client } = talk;
      talk.wrapsResults = true;
      await client.connect({ timeoutMs: 60_000 });
      return [...client.features.get()];
    },
    { url, transport, options },
  );
  return { page, features };
}

/** Asks in writing; the answer is text alone. */
function ask(page: Page, text: string): Promise<string> {
  return page.evaluate(async (text) => {
    const { client } = window.e2e.talk("talk");
    const asked = client.once("userTranscript", { timeoutMs: 60_000 });
    await client.sendText(text, { speak: false });
    await asked; // what the bot said before is over
    let said = "";
    const off = client.on("botResponseText", (event) => {
      said += event.text;
    });
    await client.once("botResponseEnded", { timeoutMs: 60_000 });
    off();
    return said;
  }, text);
}

async function over(page: Page): Promise<void> {
  await page.evaluate(() => window.e2e.talk("talk").client.disconnect());
  const status = await page.evaluate(() => window.e2e.talk("talk").client.status.get());
  expect(status).toEqual({ status: "closed", reason: "client" });
  await nothingHeld(page);
  await noTrouble(page);
  await page.close();
}

describe.each(["websocket", "webrtc"] as const)("over %s", (transport) => {
  test("ready, output, barge-in, transcripts, a tool of the page, requests, disconnect", async () => {
    const { page, features } = await connected(transport, bot.url);
    expect(features).toEqual(transport === "webrtc" ? ["reconnect"] : []);
    await until(page, "the greeting sounds", () => (window.e2e.talks.talk?.words() ?? 0) >= 3);
    await page.evaluate(() => window.e2e.say("question.wav"));
    await until(page, "the answer was spoken", () => {
      const events = window.e2e.talks.talk?.events ?? [];
      const called = events.findIndex(({ type }) => type === "toolCallEnded");
      const last = (name: string) => events.findLastIndex(({ type }) => type === name);
      const word = events[last("botWord")]?.event as { text?: string } | undefined;
      const isOver = last("utteranceEnded") > last("botWord") && last("botWord") > called;
      return called >= 0 && isOver && word?.text === "Paris.";
    });
    const { events, heard, behind, calls, turns } = await snapshot(page, "talk");

    expect(events.find(({ type }) => !/status|devices/.test(type))).toMatchObject({
      ...{ type: "sessionStarted", event: { server: expect.stringMatching(/^pipecat-ai 1\./) } },
    });

    // the greeting was cut by the user's voice, and not a sound of it is in the question
    const [cut] = of(events, "interrupted").map(({ event }) => event.utteranceId);
    const ends = of(events, "utteranceEnded").map(({ event }) => event);
    expect(ends.filter(({ end }) => end === "interrupted")).toMatchObject([
      { utteranceId: cut, heardSource: "unknown" },
    ]);
    const [flushed] = of(events, "flushed");
    expect(of(events, "flushed")).toHaveLength(1);
    const cutMs = flushed?.atMs ?? 0;
    const answered = of(events, "utteranceStarted").find(({ atMs }) => atMs > cutMs);
    const answeredMs = answered?.atMs ?? 0;
    const sound = (fromMs: number, toMs: number) =>
      soundBetween(heard, behind, fromMs, toMs) * (toMs - fromMs);
    expect(sound(0, cutMs)).toBeGreaterThan(LEAST_SOUND); // real time: order
    // it goes on for longer than the question takes, if nobody stops it; a late machine plays late
    const sounding = soundBetween(heard, behind, cutMs + ON_ITS_WAY_MS, answeredMs);
    expect(sounding).toBeLessThan(0.25);
    expect(sound(answeredMs, answeredMs + HOUR_MS)).toBeGreaterThan(LEAST_SOUND); // real time: order

    expect(of(events, "userTranscript").at(-1)?.event).toMatchObject({
      ...{ text: QUESTION, final: true, typed: false },
    });
    expect(calls).toEqual([{ name: "show_on_map", args: { place: "Paris" } }]);
    expect(of(events, "toolCallEnded").map(({ event }) => event)).toMatchObject([
      { name: "show_on_map", outcome: "done" },
    ]);

    // every word of the answer once and in order, with the time of its arrival
    const called = events.findIndex(({ type }) => type === "toolCallEnded");
    const words = of(events.slice(called), "botWord");
    expect(words.map(({ event }) => event.text).join(" ")).toBe(ANSWER);
    expect(new Set(of(events, "botWord").map(({ event }) => event.source))).toEqual(
      new Set(["arrival"]),
    );
    expect(turns.map(({ role }) => role)).toEqual(["bot", "user", "bot"]);
    expect(turns[2]).toMatchObject({ toolCalls: [{ name: "show_on_map", own: true }] });

    // what the program asks the bot's, and what no stock bot can do
    const asked = await page.evaluate(async () => {
      const { client } = window.e2e.talk("talk");
      const failure = (error: { code: string; reason: string }) => `${error.code}: ${error.reason}`;
      return [
        await client.call("how", { are: "you" }),
        await client.call("fail").catch(failure),
        await client.interrupt().catch(({ code }) => code),
      ];
    });
    expect(asked).toEqual([
      { asked: { are: "you" }, body: null },
      "service_failed: it failed, as asked",
      "unsupported",
    ]);
    expect(of((await snapshot(page, "talk")).events, "ignored")).toEqual([]);
    await over(page);
  });
});

test("a WebRTC connection that breaks comes back, the bot remembers, and is heard", async () => {
  const { page } = await connected("webrtc", bot.url);
  expect(await ask(page, "my name is alice")).toContain("Alice");
  const brokenMs = await page.evaluate(() => performance.now());
  bot.cut();
  await until(
    page,
    "the session is there again",
    (afterMs) => window.e2e.talks.talk?.readySince(afterMs),
    brokenMs,
  );
  expect(await ask(page, "what is my name")).toContain("Alice");
  // its voice is there again, and stays so when the page's sound stood still meanwhile
  await page.evaluate(() => {
    const talk = window.e2e.talk("talk");
    talk.sound.heard.length = 0;
    return talk.client.sendText("tell me a joke");
  });
  await until(page, "the bot is heard", () => {
    const heard = window.e2e.talks.talk?.sound.heard ?? [];
    return heard.filter(([, peak]) => peak > 0.0015).length > 300;
  });
  const stoodMs = await page.evaluate(async () => {
    const { client } = window.e2e.talk("talk");
    const context = client.output?.context as AudioContext;
    await context.suspend();
    const stood = client.positionMs;
    await context.resume();
    return stood;
  });
  await until(
    page,
    "words come behind where it stood",
    (stoodMs) => {
      const words = window.e2e.talks.talk?.events.filter(({ type }) => type === "botWord") ?? [];
      return words.some(({ event }) => (event as { startMs: number }).startMs > stoodMs);
    },
    stoodMs,
  );
  const { events } = await snapshot(page, "talk");
  expect(of(events, "connectionChanged").map(({ event }) => event.state)).toEqual([
    "reconnecting",
    "connected",
  ]);
  expect(of(events, "pathChanged").map(({ event }) => event.pathId)).toEqual([1, 2]);
  expect(of(events, "eventsSkipped").map(({ event }) => event)).toEqual([{ count: 0, unsent: 0 }]);
  expect(of(events, "sessionStarted")).toHaveLength(1);
  await over(page);
});

/** Waits for the end of the session; why it ended. */
async function endOf(page: Page) {
  await until(
    page,
    "the session is over",
    () => window.e2e.talks.talk?.client.status.get().status === "closed",
  );
  return page.evaluate(() => {
    const now = window.e2e.talk("talk").client.status.get();
    return now.status === "closed" ? [now.reason, now.error?.code] : now.status;
  });
}

test("a runner that dies takes the session along, and a page does not try again", async () => {
  const { page } = await connected("webrtc", mortal.url);
  mortal.kill();
  expect(await endOf(page)).toEqual(["expired", "session_expired"]);
  const { events } = await snapshot(page, "talk");
  const tries = of(events, "connectionChanged").map(({ event }) => [event.state, event.attempt]);
  expect(tries).toEqual([["reconnecting", 1]]);
  await nothingHeld(page);
  await page.close();
});

test("a WebSocket that breaks is the end of the session, and says so", async () => {
  const { page } = await connected("websocket", bot.url);
  await page.evaluate(() => window.e2e.talk("talk").client.simulate.dropControl());
  expect(await endOf(page)).toEqual(["error", "connection_lost"]);
  await nothingHeld(page);
  await noTrouble(page);
  await page.close();
});

test("the program of the client's README", async () => {
  const readme = readFileSync(join(ROOT, "clients/js/packages/client/README.md"), "utf8");
  const [, code = ""] =
    /^<!-- program of \S+stock-bot.test.ts -->\n```ts\n(.*?)^```/ms.exec(readme) ?? [];
  const body = "<button>Talk</button><button>Stop</button><button>Cut</button><p></p><p></p>";
  const address = "http://localhost:7860";
  expect(code).toContain(address);
  await addProgram(site, "readme", code.replace(address, bot.url), body);
  const page = await browser.newPage();
  await page.goto(`${pages.url}/page/readme.html`);
  await page.getByText("Talk").click();
  await page.locator("p").nth(1).getByText("Hello,").waitFor({ timeout: 90_000 });
  expect(await page.getByText("Cut").isVisible()).toBe(false);
  await page.getByText("Stop").click();
  await page.getByText("closed").waitFor();
  await page.close();
});

describe("over a token", () => {
  test.each(["websocket", "webrtc"] as const)("%s: a start gives it", async (transport) => {
    const { page } = await connected(transport, guarded.url, { start: true });
    expect(await ask(page, "my name is alice")).toContain("Alice");
    await over(page);
  });

  test("without one the runner opens no WebSocket, and the page is told what to look at", async () => {
    const failed = await connected("websocket", guarded.url).catch(String);
    expect(failed).toContain("accept the token and this page's origin");
  });
});
