import { fileURLToPath } from "node:url";
import { configDefaults, defineConfig } from "vitest/config";

/** Tests in Chromium against the real server: one file, and so one browser, at a time. */
export default defineConfig({
  test: {
    root: fileURLToPath(new URL(".", import.meta.url)),
    include: ["test/browser/**/*.test.ts"],
    exclude: ["**/*.timing.test.ts", ...configDefaults.exclude],
    fileParallelism: false,
    testTimeout: 200_000,
    hookTimeout: 200_000,
    expect: { poll: { timeout: 60_000 } },
    disableConsoleIntercept: true,
  },
});
