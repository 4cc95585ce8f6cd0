/** The files that the browser tests serve: the page, its tap, and the worklets of the package. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { HERE, JS } from "./folders.js";

export interface Site {
  readonly folder: string;
  remove(): void;
}

const COMMON = { bundle: true, format: "esm", target: "es2022", logLevel: "warning" } as const;
const packages = join(JS, "packages");
const ALIAS = {
  "@voxwire/protocol/rtvi": join(packages, "protocol/src/rtvi/index.ts"),
  "@voxwire/protocol/wire": join(packages, "protocol/src/wire.ts"),
  "@voxwire/protocol": join(packages, "protocol/src/index.ts"),
  "@voxwire/client/rtvi": join(packages, "client/src/rtvi/index.ts"),
  "@voxwire/client": join(packages, "client/src/index.ts"),
};

/** Adds a page `NAME.html` with a program of a README, in a body that has what it looks for. */
export async function addProgram(site: Site, name: string, code: string, body: string) {
  const stdin = { contents: code, loader: "ts", resolveDir: JS } as const;
  await build({ ...COMMON, alias: ALIAS, stdin, outfile: join(site.folder, `${name}.js`) });
  const html = `<!doctype html><html lang="en"><head><link rel="icon" href="favicon.ico" /></head>
    <body>${body}<script type="module" src="${name}.js"></script></body></html>`;
  writeFileSync(join(site.folder, `${name}.html`), html);
}

export async function makeSite(): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), "voxwire-e2e-"));
  cpSync(join(HERE, "page/index.html"), join(folder, "index.html"));
  cpSync(join(HERE, "../page/tap.worklet.js"), join(folder, "tap.worklet.js"));
  await build({
    ...COMMON,
    alias: ALIAS,
    entryPoints: [join(HERE, "page/page.ts")],
    external: ["@daily-co/daily-js"],
    outfile: join(folder, "page.js"),
  });
  const worklets = join(packages, "client/src/worklets");
  await build({
    ...COMMON,
    minify: true,
    entryPoints: ["capture", "playout"].map((name) => join(worklets, `${name}.worklet.ts`)),
    outdir: join(folder, "worklets"),
  });
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
