/** The waterfall against the ear: what it says of a turn lies between the user's last sound at the
 * page's microphone and the bot's first at its output; a slow voice shows in its own bar. */
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Console, TRANSPORTS, type Transport } from "./console/page.js";
import { slowServer, speak } from "./console/processes.js";
import { FAKE_DEVICE, FAKE_USER, launch } from "./e2e/chromium.js";
import type { Heard } from "./e2e/sounds.js";
import { say, timing } from "./e2e/stalls.js";
import { quantile } from "./e2e/times.js";

const QUESTION = "what time is it";
/** The microphone asks, and says nothing for so long. */
const PAUSE_S = 3.2;
const TURNS = 3;
const DELAY_MS = 300;
/** What the same stage may differ by from turn to turn, and the waterfall from the ear. */
const NOISE_MS = 60;
const EAR_MS = 20;
/** -60 dBFS, and -46 dB of the voice. */
const QUIET = 0.001;
const BELOW_PEAK = 0.005;

const microphone = join(tmpdir(), `voxwire-questions-${process.pid}.wav`);
let server: Awaited<ReturnType<typeof slowServer>>;
let browser: Browser;

interface Turn {
  readonly totalMs: number;
  readonly stages: Readonly<Record<string, number>>;
  /** From the end of the user's last word to the bot's first sample, by the taps. */
  readonly earMs: number;
}

beforeAll(async () => {
  await speak(microphone, 0.3, QUESTION, PAUSE_S);
  server = await slowServer();
  browser = await launch([
    FAKE_DEVICE,
    FAKE_USER,
    `--use-file-for-fake-audio-capture=${microphone}`,
  ]);
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
  rmSync(microphone, { force: true });
});

/** What was heard first after the user had last said something, milliseconds between. */
function waited(spoken: Heard, heard: Heard): number {
  const [lastAt = 0] = spoken.at(-1) ?? [];
  const voice = spoken.filter(([at]) => at > lastAt - 2);
  const level = Math.max(QUIET, BELOW_PEAK * Math.max(...voice.map(([, peak]) => peak)));
  const stop = voice.findLast(([, peak]) => peak > level)?.[0] ?? Number.NaN;
  const first = heard.find(([at, peak]) => at > stop && peak > QUIET)?.[0] ?? Number.NaN;
  return (first - stop) * 1000;
}

/** The next turn that the waterfall shows, and what the ear says of it; then the bot is stopped. */
async function turn(console: Console): Promise<Turn> {
  const { page } = console;
  await console.until(
    "another turn in the waterfall",
    (count) => document.querySelectorAll(".waits li").length > count,
    await page.locator(".waits li").count(),
  );
  const [{ spoken, heard }, shown] = await Promise.all([
    console.ears(),
    page.evaluate(() => ({
      totalMs: Number(document.querySelector('[data-testid="total"]')?.textContent),
      stages: Object.fromEntries(
        [...document.querySelectorAll<HTMLElement>('[data-testid="waterfall"] tr[data-stage]')].map(
          ({ dataset, children }) => [
            dataset.stage ?? "",
            Number(
              [...children].find((cell) => cell.hasAttribute("data-ms"))?.getAttribute("data-ms"),
            ),
          ],
        ),
      ),
    })),
  ]);
  await console
    .at("interrupt")
    .click({ timeout: 2000 })
    .catch(() => undefined);
  return { ...shown, earMs: waited(spoken, heard) };
}

const median = (values: readonly number[]) => quantile(values, 0.5);
const list = (values: readonly number[]) => values.map((value) => value.toFixed(0)).join(" ");

function judge(transport: Transport, before: readonly Turn[], after: readonly Turn[]): void {
  const turns = [...before, ...after];
  const apart = turns.map(({ totalMs, earMs }) => totalMs - earMs);
  say(`${transport}: the ear waited ${list(turns.map(({ earMs }) => earMs))} ms,`);
  say(`  the waterfall says ${list(apart)} ms more; median ${median(apart).toFixed(0)}`);
  const rises: Record<string, number> = {};
  for (const key of new Set(turns.flatMap(({ stages }) => Object.keys(stages)))) {
    const [was, is] = [before, after].map((some) =>
      median(some.map((one) => one.stages[key] ?? 0)),
    );
    rises[key] = (is ?? Number.NaN) - (was ?? Number.NaN);
    say(`  ${key} ${was} -> ${is} ms`);
  }
  for (const { totalMs, stages } of turns) {
    expect(Object.values(stages).reduce((sum, ms) => sum + ms, 0)).toBe(totalMs);
    expect(Object.keys(stages)).toEqual(expect.arrayContaining(["up", "vad", "stt", "llm", "tts"]));
  }
  expect(Math.abs(median(apart))).toBeLessThanOrEqual(EAR_MS);
  const { tts = Number.NaN, ...others } = rises;
  expect(Math.abs(tts - DELAY_MS)).toBeLessThanOrEqual(NOISE_MS);
  for (const rise of Object.values(others)) expect(Math.abs(rise)).toBeLessThanOrEqual(NOISE_MS);
}

/** Asks again and again over both transports at once; every second time the voice is slow. */
async function hold(consoles: readonly Console[]) {
  const taken = TRANSPORTS.map(() => ({ before: [] as Turn[], after: [] as Turn[] }));
  for (const [at, transport] of TRANSPORTS.entries()) await consoles[at]?.connect(transport);
  for (let number = 1; number <= 2 * TURNS; number += 1) {
    const slow = number % 2 === 0;
    server.delay(slow ? DELAY_MS : 0);
    const each = await Promise.all(consoles.map((console) => turn(console)));
    for (const [at, one] of each.entries()) taken[at]?.[slow ? "after" : "before"].push(one);
  }
  for (const console of consoles) await console.close();
  return taken;
}

test("the waterfall says what the ear hears; a slow voice is in its own bar", {
  timeout: 240_000,
}, async () => {
  await timing("the stages of a turn against what the page hears", async () => {
    server.delay(0);
    const open = () => Console.open(browser, `${server.url}/`, { still: true });
    const consoles = [await open(), await open()];
    try {
      const taken = await hold(consoles);
      for (const [at, transport] of TRANSPORTS.entries()) {
        const { before = [], after = [] } = taken[at] ?? {};
        judge(transport, before, after);
      }
    } finally {
      for (const { page } of consoles) await page.close();
    }
  });
});
