import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { PATIENT_LOOKS, SilenceWatch } from "./silence-watch.js";

let packets = 0;
let silent: number | undefined;
let watch: SilenceWatch;

function watching(looks?: number): SilenceWatch {
  const made = new SilenceWatch(
    async () => packets,
    () => {
      silent = performance.now();
    },
    looks,
  );
  made.start();
  return made;
}

beforeEach(() => {
  vi.useFakeTimers();
  packets = 0;
  silent = undefined;
  watch = watching();
});

afterEach(() => {
  watch.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

/** Time passes; a packet plays every 20 ms while `flowing`. */
async function pass(ms: number, flowing: boolean): Promise<void> {
  for (let at = 0; at < ms; at += 20) {
    packets += flowing ? 1 : 0;
    if (flowing) watch.saw(packets);
    await vi.advanceTimersByTimeAsync(20);
  }
}

it("says within 1.25 s that nothing comes any more, once", async () => {
  await pass(3000, true);
  const stopped = performance.now();
  await pass(3000, false);
  expect((silent ?? 0) - stopped).toBeLessThanOrEqual(1250);
  expect((silent ?? 0) - stopped).toBeGreaterThan(700);
});

it("is quicker when there is another reason to think so", async () => {
  await pass(3000, true);
  const stopped = performance.now();
  watch.doubt();
  await pass(3000, false);
  expect((silent ?? 0) - stopped).toBeLessThanOrEqual(750);
});

it("waits 5 s where coming back too early costs something", async () => {
  watch.stop();
  watch = watching(PATIENT_LOOKS);
  await pass(3000, true);
  await pass(4500, false);
  expect(silent).toBeUndefined();
  await pass(1000, false);
  expect(silent).toBeDefined();
});

it("believes packets that are received though nothing is seen to play", async () => {
  for (let at = 0; at < 100; at += 1) {
    packets += 5;
    await vi.advanceTimersByTimeAsync(100);
  }
  expect(silent).toBeUndefined();
});
