/** The console with the bot of clicks: its words are cut, and live through a lost connection. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Console, FOLDER, TRANSPORTS } from "./console/page.js";
import { launch } from "./e2e/chromium.js";
import { Server } from "./e2e/server.js";
import { clicks } from "./e2e/sounds.js";
import { sleep } from "./e2e/times.js";
import { Wire } from "./e2e/wire.js";

const WORDS = 18;
/** How long the network refuses connections after a cut. */
const DARK_MS = 600;

const wire = new Wire();
let server: Server;
let browser: Browser;

beforeAll(async () => {
  await wire.open();
  // looking at pages that wait takes longer on a busy machine than the voice waits by itself
  const settings = { voice_gap_ms: 20_000 };
  server = await Server.start({ folder: FOLDER, public_port: wire.port, settings });
  wire.target = server.port;
  await server.ready();
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
  wire.cut();
});

/** Where notice, orb and what must not move are. */
const onScreen = (console: Console) =>
  console.page.evaluate(() => {
    const box = (selector: string) => document.querySelector(selector)?.getBoundingClientRect();
    const { top, bottom, height } = box(".orb") ?? {};
    const still = [".state", ".transcript", ".talk-bar", ".panel.waterfall", ".panel.timeline"];
    return {
      orb: top === undefined || bottom === undefined ? undefined : { top, height: height ?? 0 },
      notice: box(".notice") && { bottom: box(".notice")?.bottom ?? 0 },
      talk: still.map(box).map((one) => one && [one.top, one.height].map(Math.round)),
    };
  });

describe.each(TRANSPORTS)("over %s", (transport) => {
  test("an interruption cuts what was not heard", async () => {
    const console = await Console.open(browser, `${server.url}/?transport=${transport}`);
    await console.connect(transport);
    await console.say("say 30");
    await console.shown(30); // on a busy machine the bot is slower with them than the listener
    await console.lit(4);
    await console.at("interrupt").click();
    await console.lit(1, "cut");
    await sleep(400);
    const words = await console.words(-1);
    const { heard } = await console.ears();
    const firstCut = words.findIndex(({ state }) => state === "cut");
    expect(words.map(({ state }) => state)).toEqual(
      words.map((_, at) => (at < firstCut ? "heard" : "cut")),
    );
    expect(words).toHaveLength(30);
    expect(Math.abs(firstCut - clicks(heard).length)).toBeLessThanOrEqual(1);
    await console.close();
  });
});

test("a lost connection is told, and the conversation goes on, over both transports", async () => {
  const consoles = await Promise.all(
    TRANSPORTS.map(async (transport) => {
      const console = await Console.open(browser, `${server.url}/?transport=${transport}`);
      await console.connect(transport);
      await console.say(`say ${WORDS}`);
      await console.lit(3);
      return console;
    }),
  );
  const before = await Promise.all(consoles.map(onScreen));
  wire.cut();
  await Promise.all(consoles.map((one) => one.at("notice-reconnecting").waitFor()));
  const during = await Promise.all(consoles.map(onScreen));
  for (const [at, { orb, notice, talk }] of during.entries()) {
    expect(notice?.bottom).toBeLessThanOrEqual(orb?.top ?? 0);
    expect(orb?.height).toBeGreaterThan(40);
    expect(talk).toEqual(before[at]?.talk);
  }
  await Promise.all(consoles.map((one) => one.state("reconnecting")));
  await sleep(DARK_MS);
  for (const console of consoles)
    expect(await console.at("notice-reconnecting").innerText()).toMatch(
      /The server does not answer\s+Trying again \(attempt \d+\), for another \d+ s/,
    );
  await wire.open();
  await Promise.all(
    consoles.map((one) => one.at("notice-reconnecting").waitFor({ state: "detached" })),
  );
  for (const console of consoles) {
    await console.lit(WORDS);
    expect(await console.turns("user").count()).toBe(1);
    expect(await console.turns("bot").count()).toBe(1);
    const { words } = await console.ears();
    const lit = words.filter(({ state }) => state === "heard").map(({ index }) => index);
    expect(lit).toEqual(Array.from({ length: WORDS }, (_, n) => n));
    await console.close();
  }
});
