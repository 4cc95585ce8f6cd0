/** The golden cases of protocol/vectors/diagnosis hold for this client. */
import { type ErrorCode, makeError } from "@voxwire/protocol";
import { expect, test } from "vitest";
import { readVectors } from "../../protocol/test/read-vectors.js";
import type { Check } from "../src/core/diagnosis/checks.js";
import { adviceOn } from "../src/core/diagnosis/refusals.js";
import { conclude, type PathTried } from "../src/core/diagnosis/verdict.js";
import type { Asked } from "../src/media/asked.js";

interface Advise {
  readonly op: "advise";
  readonly code: string;
  readonly reason: string;
  readonly retry_after_ms: number;
  readonly advice: string;
}

interface Conclude {
  readonly op: "conclude";
  readonly asked: readonly Asked[] | null;
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

test.each(readVectors<{ steps: readonly (Conclude | Advise)[] }>("diagnosis"))(
  "%s",
  (_, { steps }) => {
    expect(steps.length).toBeGreaterThan(10);
    for (const [at, step] of steps.entries()) {
      if (step.op === "advise") {
        const { reason, retry_after_ms: retryAfterMs } = step;
        const refusal = makeError(step.code.toLowerCase() as ErrorCode, reason, { retryAfterMs });
        expect(adviceOn(refusal)).toBe(step.advice);
        continue;
      }
      const around = { clockIsWrong: step.clock_is_wrong, nowS: step.now_s };
      expect(conclude(step.asked ?? undefined, step.path, around).map(shown), `${at}`).toEqual(
        step.checks,
      );
    }
  },
);
