/** The clock estimate: four timestamps, the fastest of the last eight, nothing forged. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { ClockSync, type Sample } from "./clock.js";
import { create, PingSchema, PongSchema } from "./messages.js";

interface Path {
  offsetUs: number;
  outUs: number;
  backUs: number;
  delayUs?: number;
}

/** One ping and its pong over a path with the given delays. */
function exchange(sync: ClockSync, nowUs: number, path: Path): Sample | undefined {
  const { offsetUs, outUs, backUs, delayUs = 0 } = path;
  const ping = sync.ping(nowUs);
  const receivedUs = nowUs + outUs + offsetUs;
  const pong = ClockSync.pong(ping, receivedUs, receivedUs + delayUs);
  return sync.receive(pong, nowUs + outUs + delayUs + backUs);
}

const pong = (number: number, t0Us: bigint, t1Us = 1n, t2Us = 1n) =>
  create(PongSchema, { number, t0Us, t1Us, t2Us });

test("nothing is known before the first sample", () => {
  const sync = new ClockSync();
  expect([sync.offsetUs, sync.rttUs]).toEqual([undefined, undefined]);
});

test("a pong echoes the ping and says both times, without fractions", () => {
  const ping = create(PingSchema, { number: 3, t0Us: 5n });
  expect(ClockSync.pong(ping, 70, 90)).toEqual(pong(3, 5n, 70n, 90n));
  expect(ClockSync.pong(ping, 70.9, 90.9)).toEqual(pong(3, 5n, 70n, 90n));
});

test("a clock with fractions is taken at whole microseconds", () => {
  const sync = new ClockSync();
  const ping = sync.ping(1000.75);
  expect(ping.t0Us).toBe(1000n);
  expect(sync.receive(ClockSync.pong(ping, 5000, 5010), 2000.5)).toEqual({
    offsetUs: 3505,
    rttUs: 990,
  });
});

test("a symmetric path gives the exact offset", () => {
  const way = fc.integer({ min: 0, max: 10 ** 6 });
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10 ** 12 }), way, way, (offsetUs, wayUs, delayUs) => {
      const sync = new ClockSync();
      const sample = exchange(sync, 1000, { offsetUs, outUs: wayUs, backUs: wayUs, delayUs });
      expect(sample).toEqual({ offsetUs, rttUs: 2 * wayUs });
      expect([sync.offsetUs, sync.rttUs]).toEqual([offsetUs, 2 * wayUs]);
    }),
  );
});

test("a peer whose clock is behind has a negative offset, rounded down", () => {
  const sync = new ClockSync();
  exchange(sync, 1_000_000, { offsetUs: -400_000, outUs: 10, backUs: 10 });
  expect(sync.offsetUs).toBe(-400_000);
  const odd = exchange(new ClockSync(), 1_000_000, { offsetUs: -400_000, outUs: 10, backUs: 11 });
  expect(odd).toEqual({ offsetUs: -400_001, rttUs: 21 });
});

test("the error is at most half the shortest round trip of the last eight", () => {
  const way = fc.integer({ min: 0, max: 10 ** 6 });
  fc.assert(
    fc.property(fc.array(way, { minLength: 1, maxLength: 20 }), way, (outs, backUs) => {
      const sync = new ClockSync();
      outs.forEach((outUs, at) => {
        exchange(sync, at * 10 ** 7, { offsetUs: 5000, outUs, backUs });
      });
      const rttUs = Math.min(...outs.slice(-8)) + backUs;
      expect(sync.rttUs).toBe(rttUs);
      expect(Math.abs((sync.offsetUs ?? Number.NaN) - 5000)).toBeLessThanOrEqual(rttUs / 2 + 1);
    }),
  );
});

test("of equally fast exchanges the oldest counts", () => {
  const sync = new ClockSync();
  exchange(sync, 0, { offsetUs: 7, outUs: 5, backUs: 5 });
  exchange(sync, 100, { offsetUs: 8, outUs: 5, backUs: 5 });
  expect(sync.offsetUs).toBe(7);
});

test("forged, repeated and impossible pongs are ignored", () => {
  const sync = new ClockSync();
  const good = ClockSync.pong(sync.ping(1000), 5000, 5010);
  expect(sync.receive(pong(9, 1000n), 2000)).toBeUndefined();
  expect(sync.receive(pong(1, 999n), 2000)).toBeUndefined();
  expect(sync.receive(pong(1, 2n ** 64n - 1n), 2000)).toBeUndefined();
  expect(sync.receive(good, 2000)).toEqual({ offsetUs: 3505, rttUs: 990 });
  expect(sync.receive(good, 2000)).toBeUndefined();
  const backwards = ClockSync.pong(sync.ping(3000), 20, 10);
  expect(sync.receive(backwards, 4000)).toBeUndefined();
  const tooSlow = ClockSync.pong(sync.ping(5000), 0, 1001);
  expect(sync.receive(tooSlow, 6000)).toBeUndefined();
  expect(sync.rttUs).toBe(990);
});

test("only the last eight pings are open", () => {
  const sync = new ClockSync();
  const pongs = Array.from({ length: 9 }, (_, at) => ClockSync.pong(sync.ping(at), 0, 0));
  const samples = pongs.map((one) => sync.receive(one, 100));
  expect(samples.map((sample) => sample !== undefined)).toEqual([false, ...Array(8).fill(true)]);
});

test("an answered ping does not keep a later one from being forgotten", () => {
  const sync = new ClockSync();
  const first = sync.ping(0);
  sync.receive(ClockSync.pong(sync.ping(1), 0, 0), 2);
  for (let at = 0; at < 7; at++) sync.ping(at);
  expect(sync.receive(ClockSync.pong(first, 0, 0), 100)).toBeUndefined();
});

test("five pings in the first second, then one every ten seconds", () => {
  const sync = new ClockSync();
  let nowMs = 123_000;
  expect(sync.nextPingMs(nowMs)).toBe(nowMs);
  const sent: number[] = [];
  for (let count = 0; count < 7; count++) {
    nowMs = sync.nextPingMs(nowMs);
    sent.push(nowMs - 123_000);
    sync.ping(nowMs * 1000);
  }
  expect(sent).toEqual([0, 200, 400, 600, 800, 10_800, 20_800]);
});
