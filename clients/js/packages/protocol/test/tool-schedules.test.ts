/** A server and a client over a line that drops, repeats, delays and reorders messages. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Schedule, type Step } from "./tool-schedule.js";

const at = fc.nat(5);
const flag = fc.boolean();
const executor = fc.constantFrom("client", "server");
const policy = fc.constantFrom("cancel", "finish", "ask");
const timeoutMs = fc.constantFrom(0, 100, 400, 1500);
const passedMs = fc.constantFrom(0, 1, 50, 200, 600, 2000);
const op = <Name extends Step["op"]>(name: Name) => fc.constant(name);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ op: op("request"), executor, policy, timeoutMs }) },
  { weight: 2, arbitrary: fc.record({ op: op("toClient"), at, repeat: flag, drop: flag }) },
  { weight: 2, arbitrary: fc.record({ op: op("toServer"), at, repeat: flag, drop: flag }) },
  fc.record({ op: op("toBoth") }),
  fc.record({ op: op("work"), at, finish: flag }),
  fc.record({ op: op("answerTwice") }),
  fc.record({ op: op("answerAtTheDeadline"), afterMs: fc.integer({ min: -1, max: 1 }) }),
  fc.record({ op: op("forge"), at: fc.nat(200), flip: fc.nat(127), other: fc.nat(2) }),
  fc.record({ op: op("passTime"), passedMs, tick: flag }),
  fc.record({ op: op("bargeIn") }),
  fc.record({ op: op("cancel"), at: fc.nat(200), by: executor }),
  fc.record({ op: op("finishOnServer") }),
  fc.record({ op: op("lose"), keep: flag }),
  fc.record({ op: op("resume") }),
  fc.record({ op: op("beAway"), keep: flag, passedMs, tick: flag }),
);

test("every call ends exactly once and runs at most once", () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 40, size: "max" }), (steps) => {
      const schedule = new Schedule();
      for (const each of steps) schedule.run(each);
      schedule.finish();
      for (const effect of schedule.seen) seen.add(effect);
    }),
    { numRuns: 1_000 },
  );
  // The schedules reach everything that a verb may tell, so that none of it goes untested.
  const outcomes = ["done", "failed", "cancelled", "timed_out"].map((each) => `terminal ${each}`);
  const others = ["moved", "refused", "duplicate", "late", "ask_policy"];
  expect([...seen].sort()).toEqual([...outcomes, ...others].sort());
});
