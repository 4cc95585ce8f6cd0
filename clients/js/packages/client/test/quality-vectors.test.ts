/** The golden cases of protocol/vectors/quality hold for this client. */
import { expect, test } from "vitest";
import { readVectors } from "../../protocol/test/read-vectors.js";
import { gradeOf, lossBetween } from "../src/media/quality.js";

type Look = readonly [number, number];
type Known = number | null;

type Step =
  | { op: "loss"; before: Look; now: Look; loss: Known }
  | {
      op: "grade";
      round_trip_ms: Known;
      jitter_ms: Known;
      loss: Known;
      buffered_ms: number;
      lost: boolean;
      grade: string;
    };

/** What comes of a step, in place of what is expected. */
function runStep(step: Step): Step {
  if (step.op === "loss") return { ...step, loss: lossBetween(step.before, step.now) ?? null };
  const measured = {
    rttMs: step.round_trip_ms ?? undefined,
    jitterMs: step.jitter_ms ?? undefined,
    loss: step.loss ?? undefined,
    bufferedMs: step.buffered_ms,
  };
  return { ...step, grade: gradeOf(measured, step.lost) };
}

const cases = readVectors<{ readonly steps: readonly Step[] }>("quality");

test.each(cases)("quality of %s", (_, { steps }) => {
  expect(steps.map(runStep)).toEqual(steps);
});

test("there are cases", () => {
  expect(cases.flatMap(([, { steps }]) => steps).length).toBeGreaterThanOrEqual(20);
});
