import { expect, it } from "vitest";
import { gradeOf, measure, readStats, type StatsLook } from "./quality.js";

const look = (changes: Partial<StatsLook> = {}): StatsLook => ({
  rttMs: 30,
  jitterMs: 4,
  packetsReceived: 1000,
  packetsLost: 10,
  jitterBufferDelayS: 50,
  jitterBufferEmitted: 1000,
  concealedMs: 40,
  ...changes,
});

it("reads what counts out of a report", () => {
  const entries = [
    { type: "codec" },
    { type: "candidate-pair", state: "succeeded", nominated: true, currentRoundTripTime: 0.025 },
    { type: "candidate-pair", state: "failed", currentRoundTripTime: 9 },
    { type: "inbound-rtp", kind: "video", packetsReceived: 1 },
    {
      type: "inbound-rtp",
      kind: "audio",
      jitter: 0.004,
      packetsReceived: 50,
      packetsLost: 2,
      jitterBufferDelay: 4.8,
      jitterBufferEmittedCount: 96,
      concealedSamples: 4800,
      silentConcealedSamples: 480,
    },
  ];
  expect(readStats(entries)).toEqual({
    rttMs: 25,
    jitterMs: 4,
    packetsReceived: 50,
    packetsLost: 2,
    jitterBufferDelayS: 4.8,
    jitterBufferEmitted: 96,
    concealedMs: 90,
  });
  expect(readStats([])).toBeUndefined();
});

it("counts between two looks", () => {
  const now = look({
    packetsReceived: 1045,
    packetsLost: 15,
    jitterBufferDelayS: 55,
    jitterBufferEmitted: 1100,
  });
  expect(measure(now, look())).toMatchObject({ loss: 0.1, bufferedMs: 50, concealedMs: 40 });
  expect(measure(look(), look()).loss).toBeUndefined();
});

it("has a word for it", () => {
  const flowing = measure(look(), undefined);
  expect(gradeOf(flowing, false)).toBe("excellent");
  expect(gradeOf({ ...flowing, loss: 0.05 }, false)).toBe("good");
  expect(gradeOf({ ...flowing, rttMs: 500 }, false)).toBe("poor");
  expect(gradeOf(flowing, true)).toBe("lost");
});
