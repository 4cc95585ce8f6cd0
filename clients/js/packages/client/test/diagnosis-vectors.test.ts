/** The golden cases of protocol/vectors/diagnosis hold for this client. */
import { expect, test } from "vitest";
import { readVectors } from "../../protocol/test/read-vectors.js";
import type { Check } from "../src/core/diagnosis/checks.js";
import { conclude, type PathTried } from "../src/core/diagnosis/verdict.js";
import type { Asked } from "../src/media/asked.js";

interface Step {
  readonly op: "conclude";
  readonly asked: readonly Asked[];
  readonly path: PathTried;
  readonly clock_is_wrong: boolean;
  readonly now_s: number;
  readonly checks: readonly object[];
}

/** A check as the vectors write it. */
function shown({ name, state, detail, code, advice, needs }: Check) {
  return {
    ...{ name, state, detail },
    ...(code && { code: code.toUpperCase() }),
    ...(advice && { advice }),
    ...(needs && { needs }),
  };
}

test.each(readVectors<{ steps: readonly Step[] }>("diagnosis"))("%s", (_, { steps }) => {
  expect(steps.length).toBeGreaterThan(20);
  for (const [at, step] of steps.entries()) {
    const around = { clockIsWrong: step.clock_is_wrong, nowS: step.now_s };
    expect(conclude(step.asked, step.path, around).map(shown), `${at}`).toEqual(step.checks);
  }
});
