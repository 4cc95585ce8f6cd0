// What browser tests share: the page's files, the server of clicks, Chromium.
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFile, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { basename, dirname, extname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium } from "playwright-core";

const here = dirname(fileURLToPath(import.meta.url));
const js = dirname(dirname(here));
const root = dirname(dirname(js));

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--use-fake-device-for-media-stream",
];

/** The folder that the server shows: the page, and the worklets as the package ships them. */
export async function makeSite() {
  const folder = mkdtempSync(join(tmpdir(), "voxwire-bench-"));
  cpSync(join(here, "page"), folder, { recursive: true });
  const common = { bundle: true, format: "esm", target: "es2022", logLevel: "warning" };
  const alias = {
    "@voxwire/protocol/wire": join(js, "packages/protocol/src/wire.ts"),
    "@voxwire/protocol": join(js, "packages/protocol/src/index.ts"),
  };
  await build({
    ...common,
    alias,
    entryPoints: [join(here, "page/bench.ts")],
    outfile: join(folder, "bench.js"),
  });
  const worklets = join(js, "packages/client/src/worklets");
  await build({
    ...common,
    minify: true,
    entryPoints: ["capture", "playout"].map((name) => join(worklets, `${name}.worklet.ts`)),
    outdir: join(folder, "worklets"),
  });
  return { folder, remove: () => rmSync(folder, { recursive: true }) };
}

/** The server of clicks on a free port. */
export async function startServer(folder, port = 0) {
  const script = join(root, "tests/support/click_server.py");
  const child = spawn("python", [script, String(port), folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const listening = await new Promise((resolve, reject) => {
    child.on("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    createInterface(child.stdout).on("line", (line) => {
      const match = /^listening (\d+)/.exec(line);
      if (match) resolve(Number(match[1]));
    });
  });
  const url = `http://127.0.0.1:${listening}`;
  for (;;) {
    const answer = await fetch(`${url}/readyz`).catch(() => undefined);
    if (answer?.ok) break;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return { url, stop: () => child.kill("SIGTERM") };
}

/** The folder's files under any name, as a plain web server would. */
export async function serveFolder(folder) {
  const types = { ".html": "text/html", ".js": "text/javascript" };
  const server = createServer((request, response) => {
    const name = basename(new URL(request.url, "http://x").pathname) || "index.html";
    readFile(join(folder, name), (error, data) => {
      response.writeHead(error ? 404 : 200, { "content-type": types[extname(name)] ?? "" });
      response.end(data);
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: server.address().port, close: () => server.close() };
}

/** Chromium with a fake microphone. */
export function launch({ flags = [], autoplay = true, ui = true } = {}) {
  const policy = autoplay ? ["--autoplay-policy=no-user-gesture-required"] : [];
  if (ui) policy.push("--use-fake-ui-for-media-stream");
  return chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [...FLAGS, ...policy, ...flags],
  });
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
