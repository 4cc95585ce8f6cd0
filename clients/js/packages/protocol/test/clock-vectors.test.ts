/** The golden cases of protocol/vectors/clock hold for this implementation. */
import { expect, test } from "vitest";
import { ClockSync } from "../src/clock.js";
import { create, PingSchema, PongSchema } from "../src/messages.js";
import { readVectors } from "./read-vectors.js";

interface Times {
  readonly number: number;
  readonly t0_us: number;
  readonly t1_us: number;
  readonly t2_us: number;
  readonly now_us: number;
}

type Step =
  | { op: "ping"; now_us: number; number: number; t0_us: number }
  | ({ op: "pong"; received_us: number } & Times)
  | ({ op: "receive"; sample: { offset_us: number; rtt_us: number } | null } & Times)
  | { op: "next_ping_ms"; now_ms: number; value: number }
  | { op: "state"; offset_us: number | null; rtt_us: number | null };

/** Runs a step and returns it with what came of it in place of what is expected. */
function runStep(clock: ClockSync, step: Step): object {
  switch (step.op) {
    case "ping": {
      const { number, t0Us } = clock.ping(step.now_us);
      return { ...step, number, t0_us: Number(t0Us) };
    }
    case "pong": {
      const ping = create(PingSchema, { number: step.number, t0Us: BigInt(step.t0_us) });
      const pong = ClockSync.pong(ping, step.received_us, step.now_us);
      const [t0_us, t1_us, t2_us] = [pong.t0Us, pong.t1Us, pong.t2Us].map(Number);
      return { ...step, number: pong.number, t0_us, t1_us, t2_us };
    }
    case "receive": {
      const [t0Us, t1Us, t2Us] = [BigInt(step.t0_us), BigInt(step.t1_us), BigInt(step.t2_us)];
      const pong = create(PongSchema, { number: step.number, t0Us, t1Us, t2Us });
      const sample = clock.receive(pong, step.now_us);
      return {
        ...step,
        sample: sample ? { offset_us: sample.offsetUs, rtt_us: sample.rttUs } : null,
      };
    }
    case "next_ping_ms":
      return { ...step, value: clock.nextPingMs(step.now_ms) };
    case "state":
      return { ...step, offset_us: clock.offsetUs ?? null, rtt_us: clock.rttUs ?? null };
    default:
      throw new Error(`no such step: ${JSON.stringify(step satisfies never)}`);
  }
}

test.each(readVectors<{ readonly steps: readonly Step[] }>("clock"))("%s", (_, { steps }) => {
  const clock = new ClockSync();
  for (const [at, step] of steps.entries())
    expect(runStep(clock, step), `step ${at}`).toEqual(step);
});
