/** The player: words with the sound, reports in time, flushes answered on the path in use. */
import { type ClientEvents, wire } from "@voxwire/protocol";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Payload } from "./media.js";
import { Player, type Track } from "./player.js";
import { reachedAt } from "./position.js";

/** A track that plays in virtual time from `startMs` on, and stops when it is flushed. */
class FakeTrack implements Track {
  bufferedMs = 200;
  concealedMs = 0;
  suspended = false;
  stoppedMs: number | undefined;
  constructor(
    readonly pathId: number,
    readonly startMs: number,
    readonly fromMs = 0,
  ) {}
  positionMs(nowMs: number): number {
    return this.stoppedMs ?? this.fromMs + Math.max(0, nowMs - this.startMs);
  }
  reached(nowMs: number) {
    return reachedAt(this.positionMs(nowMs), this.sounding(nowMs));
  }
  timeOf(mediaMs: number) {
    return this.stoppedMs === undefined ? this.startMs + mediaMs - this.fromMs : undefined;
  }
  sounding(nowMs: number) {
    return this.stoppedMs === undefined && nowMs >= this.startMs;
  }
  async flush() {
    this.stoppedMs = this.positionMs(performance.now()) + 10;
    return this.stoppedMs;
  }
}

const WORDS: Payload = {
  case: "utteranceWords",
  value: wire.create(wire.UtteranceWordsSchema, {
    utteranceId: "u",
    text: "a b c d",
    words: [0, 333, 701, 1200].map((startMs, index) => ({
      charStart: index * 2,
      charEnd: index * 2 + 1,
      startMs,
      endMs: startMs + 100,
    })),
  }),
};
const BEGIN: Payload = {
  case: "utteranceStarted",
  value: wire.create(wire.UtteranceStartedSchema, { utteranceId: "u" }),
};
const END: Payload = {
  case: "utteranceEnded",
  value: wire.create(wire.UtteranceEndedSchema, { utteranceId: "u" }),
};
const flush = (pathId: number): Payload => ({
  case: "flush",
  value: wire.create(wire.FlushSchema, { pathId, flushId: 7, untilMediaMs: 5000n }),
});

type Emitted = { type: string; event: unknown; atMs: number };
let emitted: Emitted[];
let reports: wire.PlayoutReport[];
let player: Player;

beforeEach(() => {
  vi.useFakeTimers();
  emitted = [];
  reports = [];
  player = new Player({
    now: () => performance.now(),
    emit: <K extends keyof ClientEvents>(type: K, event: ClientEvents[K]) => {
      emitted.push({ type, event, atMs: performance.now() });
    },
    send: (payload) => {
      if (payload.case === "playoutReport") reports.push(payload.value);
    },
  });
});

afterEach(() => {
  player.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

it("fires every word when its sample sounds", async () => {
  const start = performance.now() + 50;
  player.follow(new FakeTrack(1, start));
  player.receive(BEGIN);
  player.receive(WORDS);
  await vi.advanceTimersByTimeAsync(2000);
  const times = emitted.filter(({ type }) => type === "botWord").map(({ atMs }) => atMs - start);
  expect(times.map(Math.round)).toEqual([0, 333, 701, 1200]);
  expect(player.positionMs).toBe(1950);
});

it("fires a word that comes behind its sound at once, though the position was taken for more", async () => {
  const track = new FakeTrack(1, performance.now());
  player.follow(track);
  player.receive(BEGIN);
  await vi.advanceTimersByTimeAsync(1040);
  expect(player.positionMs).toBe(1040);
  track.stoppedMs = 1000; // the audio thread says where the sound has ended
  const word = { charStart: 0, charEnd: 1 };
  const late = { utteranceId: "u", text: "a", baseMediaMs: 1039n, words: [word] };
  const source = wire.TimingSource.ARRIVAL;
  const value = wire.create(wire.UtteranceWordsSchema, { ...late, source });
  player.receive({ case: "utteranceWords", value });
  expect(emitted).toMatchObject([{ type: "botWord", event: { text: "a", startMs: 999 } }]);
});

it("reports every 100 ms while the bot speaks, and when sound starts and stops", async () => {
  const track = new FakeTrack(3, performance.now() + 500);
  player.follow(track);
  await vi.advanceTimersByTimeAsync(400);
  expect(reports.map((report) => report.playing)).toEqual([false]);
  await vi.advanceTimersByTimeAsync(1100);
  const playing = reports.filter((report) => report.playing);
  expect(playing.length).toBeGreaterThanOrEqual(10);
  expect(playing.length).toBeLessThanOrEqual(12);
  expect(playing.every((report) => report.pathId === 3 && report.bufferedMs === 200)).toBe(true);
  track.stoppedMs = 1000;
  await vi.advanceTimersByTimeAsync(500);
  const last = reports.at(-1);
  expect([last?.playing, last?.mediaMs]).toEqual([false, 1000n]);
  const positions = reports.map((report) => Number(report.mediaMs));
  expect(positions).toEqual([...positions].sort((a, b) => a - b));
});

it("answers a flush with where the sound stopped, and drops what will not sound", async () => {
  player.follow(new FakeTrack(1, performance.now()));
  player.receive(BEGIN);
  player.receive(WORDS);
  await vi.advanceTimersByTimeAsync(695);
  player.receive(flush(1));
  await vi.advanceTimersByTimeAsync(0);
  const answer = reports.at(-1);
  expect([answer?.flushId, answer?.mediaMs, answer?.playing]).toEqual([7, 705n, false]);
  await vi.advanceTimersByTimeAsync(2000);
  const order = emitted.map(({ type }) => type);
  expect(order).toEqual(["botWord", "botWord", "botWord", "flushed"]); // the third within the fade
  expect(emitted.at(-1)?.event).toEqual({ mediaMs: 705, flushId: 7, untilMediaMs: 5000 });
});

it("answers a flush without a path on the path that comes", async () => {
  const first = new FakeTrack(1, performance.now());
  player.follow(first);
  await vi.advanceTimersByTimeAsync(300);
  player.leave(first);
  player.receive(flush(2));
  await vi.advanceTimersByTimeAsync(100);
  expect(reports.some((report) => report.flushId === 7)).toBe(false);
  expect(emitted.map(({ type }) => type)).toEqual(["flushed"]);
  player.follow(new FakeTrack(2, performance.now(), 300));
  const answer = reports.find((report) => report.flushId === 7);
  expect([answer?.pathId, answer?.mediaMs]).toEqual([2, 300n]);
});

it("looks seldom while nothing sounds and nothing waits", async () => {
  player.follow(new FakeTrack(1, Number.POSITIVE_INFINITY));
  player.receive(BEGIN);
  player.receive(END);
  const update = vi.spyOn(player, "update");
  await vi.advanceTimersByTimeAsync(1000);
  expect(update.mock.calls.length).toBeLessThanOrEqual(11);
});

it("says at once that it cannot play and that it can again, and nothing happens between", async () => {
  const track = new FakeTrack(1, performance.now());
  player.follow(track);
  player.receive(BEGIN);
  player.receive(WORDS);
  await vi.advanceTimersByTimeAsync(400);
  track.stoppedMs = 410;
  track.suspended = true;
  player.update();
  expect(reports.at(-1)).toMatchObject({ suspended: true, mediaMs: 410n });
  const told = emitted.length;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(emitted.length).toBe(told);
  expect(reports.every(({ suspended, mediaMs }) => !suspended || mediaMs === 410n)).toBe(true);
  track.suspended = false;
  player.update();
  expect(reports.at(-1)).toMatchObject({ suspended: false, mediaMs: 410n });
});

it("says on a new path that it cannot play", () => {
  const track = new FakeTrack(2, performance.now() + 500);
  track.suspended = true;
  player.follow(track);
  expect(reports).toMatchObject([{ pathId: 2, suspended: true }]);
});
