/** The files that the browser tests serve: the page, its tap, and the worklets of the package. */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { HERE, JS } from "./folders.js";

export interface Site {
  readonly folder: string;
  remove(): void;
}

export async function makeSite(): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), "voxwire-e2e-"));
  cpSync(join(HERE, "page/index.html"), join(folder, "index.html"));
  cpSync(join(HERE, "../page/tap.worklet.js"), join(folder, "tap.worklet.js"));
  const common = { bundle: true, format: "esm", target: "es2022", logLevel: "warning" } as const;
  await build({
    ...common,
    alias: {
      "@voxwire/protocol/rtvi": join(JS, "packages/protocol/src/rtvi/index.ts"),
      "@voxwire/protocol": join(JS, "packages/protocol/src/index.ts"),
    },
    entryPoints: [join(HERE, "page/page.ts")],
    outfile: join(folder, "page.js"),
  });
  const worklets = join(JS, "packages/client/src/worklets");
  await build({
    ...common,
    minify: true,
    entryPoints: ["capture", "playout"].map((name) => join(worklets, `${name}.worklet.ts`)),
    outdir: join(folder, "worklets"),
  });
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
