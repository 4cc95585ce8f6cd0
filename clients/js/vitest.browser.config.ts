import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** Tests in Chromium against the real server: one file, and so one browser, at a time. */
export default defineConfig({
  test: {
    root: fileURLToPath(new URL(".", import.meta.url)),
    include: ["test/browser/**/*.test.ts"],
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    disableConsoleIntercept: true,
  },
});
