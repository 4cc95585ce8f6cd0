// Builds the packages into their dist folders: tsc, then the worklets as single files.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const js = dirname(dirname(fileURLToPath(import.meta.url)));
const root = dirname(dirname(js));

execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-b", js], {
  stdio: "inherit",
});

const worklets = join(js, "packages/client/src/worklets");
if (existsSync(worklets)) {
  await build({
    entryPoints: readdirSync(worklets)
      .filter((name) => name.endsWith(".worklet.ts"))
      .map((name) => join(worklets, name)),
    outdir: join(js, "packages/client/dist/worklets"),
    bundle: true,
    format: "esm",
    target: "es2022",
    minify: true,
    sourcemap: false,
  });
}
