/** Where the speaker is, from what the audio thread says it has rendered. */
import { describe, expect, it } from "vitest";
import { PositionClock } from "./position.js";

const stretch = (atMs: number, durationMs: number, positionMs: number, moves: boolean) => ({
  atMs,
  durationMs,
  positionMs,
  moves,
});

describe("PositionClock", () => {
  it("moves with what is played and stands still with what is not", () => {
    const clock = new PositionClock();
    expect(clock.reached(5)).toEqual({ soundedMs: -1, passedMs: 1 });
    clock.note(stretch(1000, 10, 100, true));
    clock.note(stretch(1010, 10, 110, false));
    expect(clock.reached(1004)).toEqual({ soundedMs: 104, passedMs: 104 });
    expect(clock.reached(1015)).toEqual({ soundedMs: 109, passedMs: 111 });
    expect(clock.where(5000)).toEqual({ positionMs: 110, moving: false });
  });

  it("lets a word at the end of what was played wait for its sample", () => {
    const clock = new PositionClock();
    clock.note(stretch(1000, 10, 100, true));
    clock.note(stretch(1010, 10, 110, false));
    clock.note(stretch(1020, 20, 110, true));
    expect(clock.reached(1019.9).soundedMs).toBe(109);
    expect(clock.reached(1020).soundedMs).toBe(110);
    expect(clock.timeOf(110)).toBe(1020);
    expect(clock.timeOf(200)).toBeUndefined();
  });

  it("reaches what was jumped over where the sound is", () => {
    const clock = new PositionClock();
    clock.note(stretch(0, 10, 0, false));
    clock.note(stretch(10, 10, 1000, true));
    expect(clock.where(5).positionMs).toBe(0);
    expect(clock.timeOf(900)).toBe(10);
    expect(clock.timeOf(1005)).toBe(15);
  });

  it("runs on for a moment while the audio thread says nothing", () => {
    const clock = new PositionClock(60);
    clock.note(stretch(0, 20, 0, true));
    expect(clock.where(50)).toEqual({ positionMs: 50, moving: true });
    expect(clock.timeOf(70)).toBe(70);
    expect(clock.where(500)).toEqual({ positionMs: 80, moving: false });
    clock.note(stretch(20, 20, 20, true)); // goes on: one stretch
    expect(clock.timeOf(90)).toBe(90);
  });

  it("forgets what is long past, and where it was is kept", () => {
    const clock = new PositionClock();
    for (let at = 0; at < 10_000; at += 50) {
      clock.note(stretch(at, 25, at / 2, true));
      clock.note(stretch(at + 25, 25, at / 2 + 25, false));
    }
    expect(clock.where(10_000).positionMs).toBe(5000);
    clock.restart(7000);
    expect(clock.where(10_000)).toEqual({ positionMs: 7000, moving: false });
  });
});
