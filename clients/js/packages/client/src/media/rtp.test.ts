/** From RTP timestamps, and from sightings of them, to the media clock. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AnchorMap, TICKS_PER_MS } from "./anchors.js";
import { RtpClock } from "./rtp-clock.js";

describe("AnchorMap", () => {
  it("knows no place before the first anchor", () => {
    const anchors = new AnchorMap();
    expect(anchors.where(anchors.advance(1000))).toBeUndefined();
    anchors.add(1960, 500);
    expect(anchors.where(1000)).toBeUndefined();
    expect(anchors.where(1960)).toEqual({ mediaMs: 500, moving: true });
    expect(anchors.where(2920)).toEqual({ mediaMs: 520, moving: true });
  });

  it("does not pass the next anchor's position", () => {
    const anchors = new AnchorMap();
    anchors.add(0, 0);
    anchors.add(4800, 50); // 100 ms of track time, 50 ms of media clock: the bot was late
    expect(anchors.where(2304)).toEqual({ mediaMs: 48, moving: true });
    expect(anchors.where(3000)).toEqual({ mediaMs: 50, moving: false });
    expect(anchors.where(4800)).toEqual({ mediaMs: 50, moving: true });
    expect(anchors.ticksOf(50, 0)).toBe(4800);
    expect(anchors.ticksOf(60, 0)).toBe(5280);
  });

  it("finds a position behind a jump at the anchor that jumps", () => {
    const anchors = new AnchorMap();
    anchors.add(0, 0);
    anchors.add(4800, 5000);
    expect(anchors.ticksOf(50, 0)).toBe(2400);
    expect(anchors.ticksOf(3000, 0)).toBe(4800);
    expect(anchors.ticksOf(5100, 0)).toBe(9600);
    expect(anchors.ticksOf(10, 9600)).toBe(9600);
  });

  it("stands still at an anchor of rate 0", () => {
    const anchors = new AnchorMap();
    anchors.add(0, 0);
    anchors.add(960, 20, 0);
    expect(anchors.where(5000)).toEqual({ mediaMs: 20, moving: false });
    expect(anchors.ticksOf(500, 1000)).toBeUndefined();
  });

  it("takes timestamps that wrap anywhere", () => {
    const start = fc.integer({ min: 0, max: 2 ** 32 - 1 });
    const steps = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(start, steps, (first, packets) => {
        const anchors = new AnchorMap();
        anchors.add(first, 0);
        let ticks = 0;
        for (const step of packets) {
          ticks += step * 960;
          const at = anchors.advance((first + ticks) % 2 ** 32);
          expect(anchors.where(at)?.mediaMs).toBe(ticks / TICKS_PER_MS);
        }
      }),
    );
  });
});

describe("RtpClock", () => {
  it("smooths what is seen in bursts, and interpolates", () => {
    const clock = new RtpClock();
    expect(clock.known).toBe(false);
    for (let packet = 0; packet < 50; packet += 1) {
      clock.note(packet * 960, 1000 + packet * 20 + (packet % 2) * 10);
    }
    expect(Math.abs(clock.at(1990).ticks / TICKS_PER_MS - 985)).toBeLessThan(4);
    expect(Math.abs(clock.timeOf(960 * 60) - 2205)).toBeLessThan(4);
  });

  it("follows a jitter buffer that stretches time within 100 ms", () => {
    const clock = new RtpClock();
    for (let packet = 0; packet < 50; packet += 1) clock.note(packet * 960, packet * 20);
    for (let packet = 50; packet < 55; packet += 1) clock.note(packet * 960, packet * 20 + 40);
    expect(clock.timeOf(0)).toBe(40);
  });

  it("stops soon after packets stop, and takes a new start for one", () => {
    const clock = new RtpClock();
    clock.note(0, 0);
    clock.note(960, 20);
    expect(clock.at(50)).toEqual({ ticks: 2400, moving: true });
    expect(clock.at(5000)).toEqual({ ticks: 960 + 60 * TICKS_PER_MS, moving: false });
    clock.note(1920, 9000);
    expect(clock.timeOf(1920)).toBe(9000);
  });
});
