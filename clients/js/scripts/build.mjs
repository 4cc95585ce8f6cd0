// Builds the packages into their dist folders: tsc, then the worklets as single files.
import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const js = dirname(dirname(fileURLToPath(import.meta.url)));
const root = dirname(dirname(js));

// what no source is there for any more would be packed, too
for (const name of readdirSync(join(js, "packages"))) {
  rmSync(join(js, "packages", name, "dist"), { recursive: true, force: true });
}
execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-b", js], {
  stdio: "inherit",
});

const worklets = join(js, "packages/client/src/worklets");
const out = join(js, "packages/client/dist/worklets");

/** Vite before 6 makes `data:` URLs of files below 4 kB, whatever the URL says; a strict policy
 * forbids such a worklet. */
function pad(file) {
  const missing = 4096 - readFileSync(file).length;
  if (missing > 0) appendFileSync(file, `//${" ".repeat(missing)}\n`);
}

if (existsSync(worklets)) {
  await build({
    entryPoints: readdirSync(worklets)
      .filter((name) => name.endsWith(".worklet.ts"))
      .map((name) => join(worklets, name)),
    outdir: out,
    bundle: true,
    format: "esm",
    target: "es2022",
    minify: true,
    sourcemap: false,
  });
  for (const name of readdirSync(out).filter((file) => file.endsWith(".worklet.js"))) {
    pad(join(out, name));
  }
}
