import { expect, test } from "vitest";
import { VirtualTime } from "./virtual-time.js";

test("no time passes while code is fetched, however long that takes", async () => {
  const clock = new VirtualTime();
  const fetched = new Promise<string>((resolve) => setTimeout(resolve, 50, "code"));
  let late = false;
  clock.after(5000, () => {
    late = true;
  });
  expect(await clock.until(clock.load(fetched))).toBe("code");
  expect(late).toBe(false);
  await clock.advance(5000);
  expect(late).toBe(true);
});

test("code that cannot be fetched does not hold the clock for ever", async () => {
  const clock = new VirtualTime();
  const failed = clock.load(Promise.reject(new Error("no network")));
  await expect(clock.until(failed)).rejects.toThrow("no network");
  await clock.advance(10);
});
