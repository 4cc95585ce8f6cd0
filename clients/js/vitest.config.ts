import { fileURLToPath } from "node:url";
import { configDefaults, defineConfig } from "vitest/config";

const source = (path: string) => fileURLToPath(new URL(`./packages/${path}`, import.meta.url));

const files = (ending: string) => [
  `packages/*/src/**/*.test.${ending}`,
  `packages/*/test/**/*.test.${ending}`,
  `apps/*/src/**/*.test.${ending}`,
];

export default defineConfig({
  resolve: {
    // Tests run on the sources; the built packages have tests of their own.
    alias: {
      "@voxwire/protocol/rtvi": source("protocol/src/rtvi/index.ts"),
      "@voxwire/protocol/wire": source("protocol/src/wire.ts"),
      "@voxwire/protocol": source("protocol/src/index.ts"),
      "@voxwire/client/testing": source("client/src/testing/index.ts"),
      "@voxwire/client/node": source("client/src/node/index.ts"),
      "@voxwire/client/rtvi": source("client/src/rtvi/index.ts"),
      "@voxwire/client": source("client/src/index.ts"),
      "@voxwire/react/testing": source("react/src/testing/index.ts"),
      "@voxwire/react": source("react/src/index.ts"),
    },
  },
  test: {
    root: fileURLToPath(new URL(".", import.meta.url)),
    exclude: ["**/*.timing.test.ts", ...configDefaults.exclude],
    testTimeout: 60_000,
    setupFiles: ["./vitest.setup.ts"],
    expect: { poll: { timeout: 60_000 } },
    unstubGlobals: true,
    dangerouslyIgnoreUnhandledErrors: false,
    // What needs no page of its own shares the modules that it imports: half the time.
    projects: [
      { extends: true, test: { name: "modules", include: files("ts"), isolate: false } },
      { extends: true, test: { name: "pages", include: files("tsx") } },
    ],
  },
});
