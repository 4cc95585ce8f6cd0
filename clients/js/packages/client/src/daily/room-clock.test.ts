/** Positions in a stream without timestamps are found by ear, or by the clock. */
import { expect, it } from "vitest";
import { RoomClock } from "./room-clock.js";

const RATE = 16_000;
const BLOCK = 320;

/** A stream of 20 ms blocks that sound when they come. */
class Stream {
  readonly clock = new RoomClock();
  nowMs = 0;

  hear(blocks: number, value = 0, first = 0): void {
    for (let n = 0; n < blocks; n += 1) {
      const samples = new Int16Array(BLOCK).fill(value);
      if (n === 0) samples.fill(0, 0, first);
      this.nowMs += 20;
      this.clock.hear(samples, RATE, this.nowMs - 20, this.nowMs);
    }
  }

  begin(mediaMs: number): void {
    this.clock.begins(mediaMs, this.nowMs);
  }

  end(mediaMs: number): void {
    this.clock.ends(mediaMs, this.nowMs);
  }

  get at(): number {
    return this.clock.where(this.nowMs).positionMs;
  }

  get moving(): boolean {
    return this.clock.where(this.nowMs).moving;
  }
}

it("stands where it is told until there is something", () => {
  const stream = new Stream();
  stream.clock.restart(700);
  stream.hear(10);
  expect(stream.clock.where(stream.nowMs)).toEqual({ positionMs: 700, moving: false });
  expect(stream.clock.timeOf(800)).toBeUndefined();
});

it("counts from the first sound behind an anchor", () => {
  const stream = new Stream();
  stream.hear(10);
  stream.begin(1000);
  expect(stream.clock.waiting).toBe(true);
  stream.hear(4);
  stream.hear(1, 5000, 160);
  expect(stream.at).toBeCloseTo(1010, 5);
  stream.hear(5, 5000);
  expect(stream.at).toBeCloseTo(1110, 5);
  expect(stream.moving).toBe(true);
  expect(stream.clock.timeOf(1000)).toBeCloseTo(290, 5);
});

it("finds a sound that came before its anchor", () => {
  const stream = new Stream();
  stream.hear(10);
  stream.hear(15, 5000);
  expect(stream.at).toBe(0);
  stream.begin(2000);
  expect(stream.at).toBeCloseTo(2300, 5);
});

it("places what never becomes loud by the clock", () => {
  const stream = new Stream();
  stream.hear(10, 100);
  stream.begin(1000);
  stream.hear(25, 100);
  expect(stream.at).toBeCloseTo(1000 + 500 - 80, 5);
});

it("ends where it is told, now or behind what was heard", () => {
  const stream = new Stream();
  stream.hear(10);
  stream.begin(1000);
  stream.hear(2, 5000);
  stream.end(1100);
  stream.hear(10, 5000);
  expect(stream.clock.where(stream.nowMs)).toEqual({ positionMs: 1100, moving: false });
  expect(stream.clock.timeOf(1100)).toBeUndefined();
});

it("does not take the end of a stretch for the beginning of the next", () => {
  const stream = new Stream();
  stream.hear(10);
  stream.begin(1000);
  stream.hear(5, 5000);
  stream.end(1200); // 100 ms of it are still on their way
  stream.begin(3000);
  stream.hear(5, 5000);
  expect(stream.at).toBeCloseTo(1200, 5);
  stream.hear(3);
  stream.hear(4, 7000);
  expect(stream.at).toBeCloseTo(3080, 5);
});

it("forgets a stretch that was cut before it sounded", () => {
  const stream = new Stream();
  stream.hear(10);
  stream.begin(1000);
  stream.end(1000);
  stream.hear(5, 5000);
  expect(stream.at).toBe(0);
});

it("stands in a long silence and goes on behind it", () => {
  const stream = new Stream();
  stream.hear(10);
  stream.begin(1000);
  stream.hear(5, 5000);
  stream.hear(50);
  expect(stream.clock.where(stream.nowMs)).toEqual({ positionMs: 1500, moving: false });
  stream.hear(5, 5000);
  expect(stream.at).toBeCloseTo(1000 + 100 + 1000 + 100, 5);
});

it("never goes back", () => {
  const stream = new Stream();
  stream.hear(10);
  stream.begin(5000);
  stream.hear(5, 5000);
  stream.end(5100);
  stream.hear(10);
  stream.begin(2000);
  stream.hear(5, 5000);
  expect(stream.at).toBeGreaterThanOrEqual(5100);
});

it("says for how long there has been silence", () => {
  const stream = new Stream();
  stream.hear(1, 5000);
  expect(stream.clock.quietMs(stream.nowMs)).toBe(0);
  stream.hear(3);
  expect(stream.clock.quietMs(stream.nowMs)).toBe(60);
});
