import { wire } from "@voxwire/protocol";
import { expect, test } from "vitest";
import { ServerClock } from "./server-clock.js";

const pong = (t0Us: bigint, t1Us: bigint, t2Us: bigint) =>
  wire.envelope({ case: "pong", value: wire.create(wire.PongSchema, { t0Us, t1Us, t2Us }) });

test("the fastest exchange says what the server's clock is on the page's", () => {
  const clock = new ServerClock();
  expect(clock.pageMs(0)).toBeUndefined();
  clock.receive(pong(1_000n, 501_900n, 502_000n), 22); // 20 ms lost on the way back
  clock.receive(pong(100_000n, 600_500n, 600_700n), 101.2);
  expect(clock.pageMs(600_600)).toBeCloseTo(100.6, 3);
});
