// The size gate: what a page loads, minified and gzipped, without what comes when `diagnose()` or
// `sendFile()` is called, a connect has failed or a session has tools. Exits 1 above a limit.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const GATES = [
  { name: "client", code: 'export * from "@voxwire/client";', limit: 45_000 },
  {
    name: "client + react",
    code: 'export * from "@voxwire/client"; export * from "@voxwire/react";',
    limit: 52_000,
  },
  {
    name: "client + rtvi",
    code: 'export * from "@voxwire/client"; export * from "@voxwire/client/rtvi";',
    limit: 57_000,
  },
];

/** Modules that are imported when they are asked for; Rollup and Vite make files of their own. */
const LATER = /\/(diagnose|check|files|explain|tool-runner)\.js$/;
const later = {
  name: "later",
  setup({ onResolve }) {
    onResolve({ filter: LATER }, ({ kind, path }) =>
      kind === "dynamic-import" ? { path, external: true } : undefined,
    );
  },
};

let failed = false;
for (const { name, code, limit } of GATES) {
  const result = await build({
    stdin: { contents: code, resolveDir: join(root, "clients/js/packages/react"), loader: "js" },
    bundle: true,
    minify: true,
    write: false,
    plugins: [later],
    format: "esm",
    target: "es2022",
    platform: "browser",
    external: ["react", "react/jsx-runtime", "react-dom", "ws", "node:*"],
  });
  const size = gzipSync(result.outputFiles[0].contents, { level: 9 }).length;
  failed ||= size > limit;
  process.stdout.write(`${name}: ${(size / 1000).toFixed(1)} of ${limit / 1000} kB gzip\n`);
}
process.exit(failed ? 1 : 0);
