/** The golden cases of protocol/vectors/capture hold for this implementation. */
import { describe, expect, test } from "vitest";
import { KeptCapture } from "../src/capture.js";
import { readVectors } from "./read-vectors.js";

interface Step {
  readonly op: string;
  readonly now_ms: number;
  readonly samples: number;
  readonly index: number;
  readonly age_ms: number;
  readonly lost: number;
  readonly pieces: readonly (readonly number[])[];
}

interface Script {
  readonly options: { readonly sample_rate: number; readonly kept_ms: number };
  readonly steps: readonly Step[];
}

/** Audio of which every sample is its own number. */
const numbered = (first: number, count: number) =>
  Int16Array.from({ length: count }, (_, at) => first + at);

function sendAll(kept: KeptCapture, nowMs: number): number[][] {
  const pieces: number[][] = [];
  for (;;) {
    const piece = kept.peek(nowMs);
    if (!piece) return pieces;
    expect(piece.samples).toEqual(numbered(piece.index, piece.samples.length));
    pieces.push([piece.index, piece.samples.length]);
    kept.sent(piece);
  }
}

function perform(kept: KeptCapture, step: Step): void {
  switch (step.op) {
    case "capture":
      kept.capture(numbered(kept.nextIndex, step.samples), step.now_ms);
      return;
    case "mute":
      kept.mute(step.samples);
      return;
    case "park":
      kept.park();
      return;
    case "follow":
      kept.follow();
      return;
    case "resume":
      expect(kept.resume(step.index, step.now_ms)).toBe(step.lost);
      return;
    case "resume_after":
      expect(kept.resumeAfter(step.age_ms, step.now_ms)).toBe(step.lost);
      return;
    case "send":
      expect(sendAll(kept, step.now_ms)).toEqual(step.pieces);
      return;
    default:
      expect({
        op: "state",
        next_index: kept.nextIndex,
        waiting: kept.waitingSamples,
        lost: kept.lostSamples,
      }).toEqual(step);
  }
}

describe("capture", () => {
  test.each(readVectors<Script>("capture"))("$0", (_name, { options, steps }) => {
    const kept = new KeptCapture({ sampleRate: options.sample_rate, keptMs: options.kept_ms });
    for (const step of steps) perform(kept, step);
  });
});
