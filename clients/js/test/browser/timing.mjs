// Measures a page's media against a tap on its output: when words fire, and how it falls silent.
// Usage: timing.mjs [websocket|webrtc|both] [utterances] [cuts]
import { launch, makeSite, quantile, sleep, startServer } from "./support.mjs";

const [which = "both", utterances = "3", cuts = "10"] = process.argv.slice(2);
/** Words of an utterance: with more than 10 s the bot's synthesiser waits, and its words with it. */
const WORDS = 30;
const LOUD = 0.2;
const QUIET = 0.0015;

/** Onsets of clicks, context seconds. */
function clicks(sounds) {
  const onsets = [];
  for (const [at, peak] of sounds) {
    if (peak > LOUD && (onsets.length === 0 || at - onsets.at(-1) > 0.05)) onsets.push(at);
  }
  return onsets;
}

/** When a word was announced, milliseconds of the page's clock. */
function announced(events) {
  const times = new Map();
  for (const { type, event, atMs } of events) {
    if (type !== "utteranceWords") continue;
    for (const { index } of event.words) {
      const key = `${event.utteranceId} ${index}`;
      if (!times.has(key)) times.set(key, atMs);
    }
  }
  return ({ utteranceId, index }) => times.get(`${utteranceId} ${index}`);
}

const round = (value) => Math.round(value * 10) / 10;

async function state(page) {
  return page.evaluate(() => ({
    events: window.bench.events,
    sounds: window.bench.sounds,
    rendered: window.bench.rendered,
    heard: window.bench.heard,
    latency: window.bench.latency(),
  }));
}

async function untilQuiet(page, count) {
  for (let look = 0; look < 200; look += 1) {
    await sleep(500);
    const done = await page.evaluate((least) => {
      const { events } = window.bench;
      return events.filter(({ type }) => type === "utteranceEnded").length >= least;
    }, count);
    if (done) return;
  }
}

async function words_(page, transport) {
  for (let number = 1; number <= Number(utterances); number += 1) {
    await page.evaluate((text) => window.bench.say(text), `say ${WORDS}`);
    await untilQuiet(page, number);
    await sleep(300);
  }
  const { events, sounds, rendered, heard, latency } = await state(page);
  const fired = events.filter(({ type }) => type === "botWord");
  const onsets = clicks(sounds);
  const node = quantile(rendered, 0.5);
  const ear = quantile(heard, 0.5);
  const pairs = fired.map((word, index) => ({ ...word, onset: onsets[index] }));
  // A word that the server announced after its sound cannot fire with it: counted, not timed.
  const known = announced(events);
  const timed = pairs.filter(({ event, onset }) => known(event) < onset * 1000 + node);
  const errors = timed.map(({ atMs, onset }) => atMs - (onset * 1000 + node));
  const errorsEar = timed.map(({ atMs, onset }) => atMs - (onset * 1000 + ear));
  const errorsContext = timed.map(({ contextTime, onset }) => (contextTime - onset) * 1000);
  const abs = (list) => list.map(Math.abs);
  console.log(
    `${transport}: ${fired.length} words, ${onsets.length} clicks, ${fired.length - timed.length}`,
    "announced late; |fired - click| p50",
    `${round(quantile(abs(errors), 0.5))} ms, p95 ${round(quantile(abs(errors), 0.95))} ms`,
    `(signed p5 ${round(quantile(errors, 0.05))}, p50 ${round(quantile(errors, 0.5))},`,
    `p95 ${round(quantile(errors, 0.95))}); against currentTime p50`,
    `${round(quantile(errorsContext, 0.5))}; against the device p50`,
    `${round(quantile(errorsEar, 0.5))}; latency ${latency}`,
  );
  if (process.env.DETAIL) {
    for (const [index, { event }] of timed.entries()) {
      console.log(index, event.text, round(errors[index]), event.startMs);
    }
  }
}

async function cut(page, number) {
  await page.evaluate(() => {
    window.bench.events.length = 0;
    window.bench.sounds.length = 0;
  });
  await page.evaluate(() => window.bench.say("say 30"));
  await sleep(2000 + 137 * number);
  const told = await page.evaluate(async () => {
    const client = window.bench.client();
    const flushedAt = new Promise((resolve) => {
      const end = client.tap((direction, envelope) => {
        if (direction === "in" && envelope.payload.case === "flush") {
          end();
          resolve(performance.now());
        }
      });
    });
    client.interrupt();
    return flushedAt;
  });
  await sleep(1200);
  const { events, sounds, rendered } = await state(page);
  const node = quantile(rendered, 0.5);
  const last = sounds.filter(([, peak]) => peak > QUIET).at(-1);
  const silentMs = last[0] * 1000 + node - told;
  const ended = events.find(({ type }) => type === "utteranceEnded");
  const fired = events.filter(({ type }) => type === "botWord").length;
  const flushed = events.find(({ type }) => type === "flushed");
  const heardWords = ended?.event.heardWords;
  const heard = clicks(sounds).length;
  return { silentMs, heardWords, heard, fired, source: ended?.event.heardSource, flushed };
}

async function cuts_(page, transport) {
  const silent = [];
  const off = [];
  const firedOff = [];
  for (let number = 0; number < Number(cuts); number += 1) {
    const result = await cut(page, number);
    silent.push(result.silentMs);
    off.push(result.heardWords - result.heard);
    firedOff.push(result.fired - result.heard);
    if (process.env.DETAIL) console.log(JSON.stringify(result));
  }
  console.log(
    `${transport}: ${cuts} cuts; flush -> silence at the tap median ${round(quantile(silent, 0.5))}`,
    `ms, worst ${round(Math.max(...silent))} ms; heard words - clicks at the tap`,
    `${off.join(" ")}; fired - clicks ${firedOff.join(" ")}`,
  );
}

const site = await makeSite();
const server = await startServer(site.folder);
const browser = await launch();
try {
  for (const transport of which === "both" ? ["websocket", "webrtc"] : [which]) {
    const page = await browser.newPage();
    page.on("console", (message) => process.env.DETAIL && console.log("page:", message.text()));
    page.on("pageerror", (error) => console.log("page error:", error));
    await page.goto(`${server.url}/bench/`);
    await page.evaluate((name) => window.bench.open(name, true), transport);
    if (Number(utterances)) await words_(page, transport);
    if (Number(cuts)) await cuts_(page, transport);
    console.log(JSON.stringify(await page.evaluate(() => window.bench.quality())));
    await page.evaluate(() => window.bench.close());
    await page.close();
  }
} finally {
  await browser.close();
  server.stop();
  site.remove();
}
