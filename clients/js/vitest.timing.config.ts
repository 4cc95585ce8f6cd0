import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** The timing group: what judges moments of real time, alone on the machine, one file at a time. */
export default defineConfig({
  test: {
    root: fileURLToPath(new URL(".", import.meta.url)),
    include: ["test/browser/**/*.timing.test.ts"],
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    disableConsoleIntercept: true,
  },
});
