/** Twenty cuts of a story in pages of Pipecat's own clients, and as many of a stock bot beside. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HeardPages } from "./e2e/heard-pages.js";
import { Runner } from "./e2e/runner.js";
import { INSTALLED } from "./e2e/stock.js";

const AFTER_MS = Array.from({ length: 10 }, (_, number) => 700 + 430 * number);
const BOUND = 2;
const LONG_MS = 600_000;

let pages: HeardPages;
let runner: Runner;

beforeAll(async () => {
  if (!INSTALLED) return;
  runner = await Runner.start();
  pages = await HeardPages.open(runner);
});

afterAll(async () => {
  await pages?.close();
  await runner?.stop();
});

describe.skipIf(!INSTALLED)("ten cuts", () => {
  test.for(["webrtc", "websocket"] as const)("over %s", { timeout: LONG_MS }, async (transport) => {
    const [ours] = await Promise.all([
      pages.cut(transport, AFTER_MS),
      pages.cut(transport, AFTER_MS, runner),
    ]);
    expect(ours.worst).toBeLessThanOrEqual(BOUND);
  });
});
