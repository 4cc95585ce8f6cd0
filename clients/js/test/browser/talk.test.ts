/** A spoken question in Chromium, answered by the offline bot with the help of a tool of the page. */
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FAKE_DEVICE, FAKE_USER, launch, openPage } from "./e2e/chromium.js";
import type { Noted } from "./e2e/page/page.js";
import { Server } from "./e2e/server.js";
import { makeSite, type Site } from "./e2e/site.js";

const QUESTION = "show me paris on the map";
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

const of = (events: Noted[], type: string) => events.filter((one) => one.type === type);

describe.each(["websocket", "webrtc"] as const)("over %s", (transport) => {
  test("a spoken question is understood, its tool runs in the page, the answer is heard", async () => {
    const page = await openPage(browser, server.url);
    await page.evaluate(async (transport) => {
      const media = { workletUrl: "/worklets/", microphone: false, rememberDevices: false };
      await window.e2e.make("talk", { transport, media }).client.connect();
    }, transport);
    // the greeting
    await page.waitForFunction(() =>
      window.e2e.talks.talk?.events.some(({ type }) => type === "utteranceEnded"),
    );
    await page.evaluate(async () => {
      const talk = window.e2e.talks.talk;
      talk?.forget();
      await talk?.client.microphone.setEnabled(true);
    });
    await page.waitForFunction(
      () => {
        const events = window.e2e.talks.talk?.events ?? [];
        const asked = events.findIndex(({ type }) => type === "toolCallEnded");
        return events.some(({ type }, at) => asked >= 0 && at > asked && type === "utteranceEnded");
      },
      undefined,
      { timeout: 25_000 },
    );
    const told = await page.evaluate(() => {
      const talk = window.e2e.talks.talk;
      return {
        events: talk?.events ?? [],
        heard: talk?.sound.heard ?? [],
        behind: talk?.sound.behind ?? [],
        calls: talk?.calls,
        turns: talk?.client.conversation.get().turns ?? [],
        shown: [...document.querySelectorAll("#log li")].map((line) => line.textContent),
        elements: document.querySelectorAll("#log *:not(li)").length,
        pwned: "pwned" in window,
      };
    });
    console.log(JSON.stringify(told.events.filter(e=>e.type!=='quality'&&e.type!=='devices').map(e=>[e.type,Math.round(e.atMs),e.event])).slice(0,6000));
    console.log(told.heard.length, JSON.stringify(told.turns), told.shown, told.calls);
    await page.evaluate(() => window.e2e.talks.talk?.client.disconnect());
    await page.close();
  });
});
