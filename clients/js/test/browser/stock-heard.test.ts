/** Words in the model's context after a cut, against what a page of Pipecat's own client played. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HeardPages } from "./e2e/heard-pages.js";
import { INSTALLED } from "./e2e/stock.js";

/** Three cuts; `stock-cuts.test.ts` has twenty. */
const AFTER_MS = [800, 1900, 3100];
/** Words that a context may hold too many or too few. */
const BOUND = 2;

let pages: HeardPages;

beforeAll(async () => {
  if (INSTALLED) pages = await HeardPages.open();
});

afterAll(() => pages?.close());

describe.skipIf(!INSTALLED)("a story that is cut", () => {
  test("is remembered as far as it was played", async () => {
    const errors = await Promise.all([
      pages.cut("webrtc", AFTER_MS),
      pages.cut("websocket", AFTER_MS),
    ]);
    for (const { worst } of errors) expect(worst).toBeLessThanOrEqual(BOUND);
  });
});
