import { wire } from "@voxwire/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createClient } from "../create-client.js";
import { FakeServer, VirtualTime } from "../testing/index.js";
import { HeadlessMedia } from "./headless-media.js";
import { Unheard } from "./silent-media.js";
import { UserAudio } from "./user-audio.js";

const PER_MS = 16;

/** Audio of which every sample is its own number. */
const numbered = (first: number, count: number) =>
  Int16Array.from({ length: count }, (_, at) => (first + at) % 30_011);

/** A client with a microphone that says its own numbers, and what the server hears of it. */
async function talking() {
  const clock = new VirtualTime();
  const server = new FakeServer({ clock, bot: {} });
  const microphone = { given: 0, on: true };
  const media = new HeadlessMedia({
    clock,
    sound: (pathId, changed) => new Unheard(pathId, changed, clock),
    read(count) {
      const samples = numbered(microphone.given, count);
      microphone.given += count;
      return microphone.on ? samples : undefined;
    },
  });
  const { environment } = server;
  const client = createClient({ url: "/", environment, media: () => media });
  const changes: { readonly resentMs: number; readonly lostMs: number }[] = [];
  client.on("pathChanged", (event) => changes.push(event));
  await clock.until(client.connect());
  const done = async () => {
    await clock.until(client.disconnect());
    expect([clock.pending, server.network.open.size]).toEqual([0, 0]);
  };
  /** Chunks in order; what came twice is in them twice. */
  const chunks = () =>
    server.received.flatMap(({ payload }) => (payload.case === "audio" ? [payload.value] : []));
  const heard = () => {
    let next = 0;
    for (const { sampleIndex, data } of chunks()) {
      const samples = new Int16Array(data.slice().buffer);
      expect(Number(sampleIndex), "nothing twice, no hole").toBe(next);
      expect(samples.every((sample, at) => sample === (next + at) % 30_011)).toBe(true);
      next += samples.length;
    }
    return next;
  };
  return { clock, server, microphone, changes, chunks, heard, done };
}

test("the server hears every sample once, wherever the line is cut", async () => {
  const cut = fc.record({
    afterMs: fc.integer({ min: 0, max: 700 }),
    awayMs: fc.integer({ min: 0, max: 1200 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(cut, { minLength: 1, maxLength: 3 }), async (cuts) => {
      const { clock, server, microphone, changes, heard, done } = await talking();
      for (const { afterMs, awayMs } of cuts) {
        await clock.advance(afterMs);
        server.network.state = "refused";
        server.network.cut();
        await clock.advance(awayMs);
        server.network.state = "up";
        await clock.advance(1500); // dialled again by then
      }
      await clock.advance(500);
      expect(microphone.given - heard()).toBeLessThanOrEqual(40 * PER_MS);
      expect(changes.map(({ lostMs }) => lostMs)).toEqual(changes.map(() => 0));
      await done();
    }),
    { numRuns: 15, seed: 12 },
  );
});

test("a gap longer than 3 s loses its beginning and says how much", async () => {
  const { clock, server, chunks, changes, done } = await talking();
  await clock.advance(1000);
  server.network.state = "refused";
  server.network.cut();
  await clock.advance(5000);
  server.network.state = "up";
  await clock.advance(2000);
  const jumps = chunks().flatMap(({ sampleIndex }, at, all) => {
    const before = all[at - 1];
    const hole = before
      ? Number(sampleIndex) - Number(before.sampleIndex) - before.data.length / 2
      : 0;
    return hole === 0 ? [] : [hole / PER_MS];
  });
  const last = changes.at(-1);
  expect(jumps).toEqual([last?.lostMs]);
  expect(last?.lostMs).toBeGreaterThanOrEqual(2000);
  expect(last?.resentMs).toBeGreaterThanOrEqual(2900);
  expect(last?.resentMs).toBeLessThanOrEqual(3000);
  await done();
});

test("what waits is not sent once the user has muted", async () => {
  const { clock, server, microphone, chunks, done } = await talking();
  await clock.advance(200);
  server.network.state = "refused";
  server.network.cut();
  const away = microphone.given;
  await clock.advance(300);
  microphone.on = false;
  await clock.advance(100);
  microphone.on = true;
  const open = microphone.given;
  server.network.state = "up";
  await clock.advance(2000);
  const indexes = chunks().map(({ sampleIndex }) => Number(sampleIndex));
  const first = indexes.find((index) => index > away) ?? 0;
  expect(first).toBeGreaterThanOrEqual(open);
  await done();
});

test("words said before the first path are sent when it is ready", () => {
  const sent: wire.AudioChunk[] = [];
  const user = new UserAudio(
    (payload) => payload.case === "audio" && sent.push(payload.value) > 0,
    () => 0,
  );
  for (let at = 0; at < 3; at += 1) user.capture(numbered(at * 320, 320), 320);
  const capture = { case: "captureIndex", value: 0n } as const;
  expect(user.resume(wire.create(wire.PathReadySchema, { pathId: 1, capture }))).toEqual({
    resentMs: 60,
    lostMs: 0,
  });
  expect(sent.map(({ pathId, sampleIndex }) => [pathId, sampleIndex])).toEqual([
    [1, 0n],
    [1, 320n],
    [1, 640n],
  ]);
});

test("ahead of a path with audio of its own goes what was captured before, and where it ends", () => {
  const sent: wire.AudioChunk[] = [];
  let taken = 2;
  const user = new UserAudio(
    (payload) => payload.case === "audio" && taken-- > 0 && sent.push(payload.value) > 0,
    () => 0,
  );
  for (let at = 0; at < 3; at += 1) user.capture(numbered(at * 320, 320), 320);
  const capture = { case: "captureIndex", value: 320n } as const;
  const ready = wire.create(wire.PathReadySchema, { pathId: 7, capture });
  expect(user.resume(ready, true)).toEqual({ resentMs: 40, lostMs: 0 });
  const said = () => sent.map(({ sampleIndex, liveFollows }) => [sampleIndex, liveFollows]);
  expect(said(), "the socket was full").toEqual([
    [320n, false],
    [640n, false],
  ]);
  taken = 9;
  user.capture(numbered(960, 320), 320);
  user.capture(numbered(1280, 320), 320);
  expect(said().slice(2)).toEqual([[0n, true]]);
});
