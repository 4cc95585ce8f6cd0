/** The golden cases of protocol/vectors/addresses hold for this client. */
import { expect, test } from "vitest";
import { readVectors } from "../../protocol/test/read-vectors.js";
import { Addresses, movingWindowMs } from "../src/core/addresses.js";

type Step =
  | { op: "order"; urls: readonly string[] }
  | { op: "welcomed"; url: string; resume_url: string }
  | { op: "sent_on"; resume_url: string; here: string; moves: boolean }
  | { op: "failed"; url: string }
  | { op: "refused"; url: string; goes_on: boolean }
  | { op: "window"; time_left_ms: number; jitter: number; earliest_ms: number; latest_ms: number };

/** What comes of a step, in place of what is expected. */
function runStep(addresses: Addresses, step: Step): Step {
  switch (step.op) {
    case "order":
      return { ...step, urls: addresses.order };
    case "welcomed":
      addresses.welcomed(step.url, step.resume_url);
      return step;
    case "sent_on":
      return { ...step, moves: addresses.sentOn(step.resume_url, step.here) };
    case "failed":
      addresses.failed(step.url);
      return step;
    case "refused":
      return { ...step, goes_on: addresses.refused(step.url) };
    case "window": {
      const [earliest_ms, latest_ms] = movingWindowMs(step.time_left_ms, step.jitter);
      return { ...step, earliest_ms, latest_ms };
    }
  }
}

const cases = readVectors<{ readonly first: string; readonly steps: readonly Step[] }>("addresses");

test.each(cases)("addresses that are %s", (_, { first, steps }) => {
  const addresses = new Addresses(first);
  expect(steps.map((step) => runStep(addresses, step))).toEqual(steps);
});

test("there are cases", () => {
  expect(cases.flatMap(([, { steps }]) => steps).length).toBeGreaterThanOrEqual(80);
});
