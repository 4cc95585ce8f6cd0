/** A spoken question in Chromium, answered by the offline bot with the help of a tool of the page. */
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FAKE_DEVICE, FAKE_USER, launch, openPage } from "./e2e/chromium.js";
import { Server } from "./e2e/server.js";
import { makeSite, type Site } from "./e2e/site.js";
import { soundBetween } from "./e2e/sounds.js";
import { noTrouble, of, snapshot, until } from "./e2e/talks.js";

/** Spoken into the greeting: the bot is interrupted by voice. */
const QUESTION = "show me paris on the map";
const ANSWER = ["It", "is", "on", "your", "map:", "Paris,", "<img", "src=x", "onerror=pwn()>"];
const wav = join(tmpdir(), `voxwire-question-${process.pid}.wav`);
let site: Site;
let server: Server;
let browser: Browser;

beforeAll(async () => {
  site = await makeSite();
  server = await Server.start({
    bot: "offline",
    folder: site.folder,
    wav: { path: wav, text: QUESTION },
  });
  await server.ready();
  const file = `--use-file-for-fake-audio-capture=${wav}%noloop`;
  browser = await launch([FAKE_DEVICE, FAKE_USER, file]);
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
  site?.remove();
});

describe.each(["websocket", "webrtc"] as const)("over %s", (transport) => {
  test("a spoken question is understood, a tool of the page runs, the answer is heard", async () => {
    const page = await openPage(browser, server.url);
    await page.evaluate((transport) => window.e2e.make("talk", { transport }).connect(), transport);
    await until(page, "the answer was spoken", () => {
      const events = window.e2e.talks.talk?.events ?? [];
      const called = events.findIndex(({ type }) => type === "toolCallEnded");
      return called >= 0 && events.slice(called).some(({ type }) => type === "utteranceEnded");
    });
    const { events, heard, behind, calls, turns } = await snapshot(page, "talk");
    const log = await page.evaluate(() => ({
      lines: [...document.querySelectorAll("#log li")].map((line) => line.textContent),
      elements: document.querySelectorAll("#log *:not(li)").length,
      pwned: "pwned" in window,
    }));

    // the greeting was cut by the user's voice; what it had said so far was heard
    const [greeting, answer] = of(events, "utteranceEnded").map(({ event }) => event);
    expect(greeting).toMatchObject({ end: "interrupted" });
    expect(of(events, "interrupted")).toHaveLength(1);
    expect(of(events, "flushed")).toHaveLength(1);

    expect(of(events, "userTranscript").at(-1)?.event).toMatchObject({
      text: QUESTION,
      final: true,
      typed: false,
    });
    expect(calls).toEqual([{ name: "show_on_map", args: { place: "Paris" } }]);
    expect(of(events, "toolCallEnded").map(({ event }) => event)).toMatchObject([
      { name: "show_on_map", outcome: "done" },
    ]);

    // every word of the answer once, in order, while the bot's voice was heard
    const words = of(events, "botWord").filter(
      ({ event }) => event.utteranceId === answer?.utteranceId,
    );
    expect(words.map(({ event }) => event.text)).toEqual([...ANSWER, "pinned."]);
    expect(words.map(({ event }) => event.index)).toEqual(words.map((_, index) => index));
    expect(answer).toMatchObject({ end: "completed", heardWords: words.length });
    const [first, last] = [words[0], words.at(-1)];
    const sounding = soundBetween(heard, behind, first?.atMs ?? 0, last?.atMs ?? 0);
    expect(sounding).toBeGreaterThan(0.5);

    // the log says the same, as text
    expect(turns.map(({ role }) => role)).toEqual(["bot", "user", "bot"]);
    expect(turns[0]).toMatchObject({ interrupted: true, toolCalls: [] });
    expect(turns[1]).toMatchObject({ text: QUESTION, final: true, typed: false });
    const [reply] = turns[2]?.role === "bot" ? turns[2].utterances : [];
    expect(turns[2]).toMatchObject({
      toolCalls: [{ name: "show_on_map", status: "done", own: true }],
    });
    expect(reply?.words.map(({ text, state }) => [text, state])).toEqual(
      [...ANSWER, "pinned."].map((text) => [text, "heard"]),
    );
    expect(log.lines.at(-1)).toContain("<img src=x onerror=pwn()>");
    expect(log).toMatchObject({ elements: 0, pwned: false });

    await page.evaluate(() => window.e2e.talks.talk?.client.disconnect());
    await noTrouble(page);
    await page.close();
  });

  test("a question in which the control socket breaks twice is understood", async () => {
    const page = await openPage(browser, server.url);
    await page.evaluate((transport) => {
      const { client } = window.e2e.make("talk", { transport });
      client.on("interrupted", () => {
        client.simulate.dropControl();
        setTimeout(() => client.simulate.dropControl(), 400);
      });
      return client.connect();
    }, transport);
    await until(page, "the question was understood", () => {
      const said = window.e2e.talks.talk?.events.filter(({ type }) => type === "userTranscript");
      return said?.some(({ event }) => (event as { final?: boolean }).final);
    });
    const { events } = await snapshot(page, "talk");
    expect(of(events, "userTranscript").at(-1)?.event.text).toBe(QUESTION);
    expect(of(events, "connectionChanged").map(({ event }) => event.state)).toEqual([
      "reconnecting",
      "connected",
      "reconnecting",
      "connected",
    ]);
    const paths = of(events, "pathChanged").map(({ event }) => event);
    expect(paths.map(({ lostMs }) => lostMs)).toEqual(paths.map(() => 0));
    await page.evaluate(() => window.e2e.talks.talk?.client.disconnect());
    await noTrouble(page);
    await page.close();
  });
});
