/** The real server with the offline bot, in a process of its own; and voices to talk to it. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../../../..", import.meta.url));
const VENV = join(ROOT, ".venv/bin/python");
const PYTHON = existsSync(VENV) ? VENV : "python3";
const SOURCES = ["protocol/python/src", "server/src", "clients/python/src"];
const env = { ...process.env, PYTHONPATH: SOURCES.map((path) => join(ROOT, path)).join(":") };
const READY_MS = 60_000;

export interface RealServer {
  readonly url: string;
  /** SIGTERM: it lets its sessions end by themselves, and begins none. */
  leave(): void;
  stop(): Promise<void>;
}

/** Starts a server on a free port, which lets sessions end for `drainMs`; resolves when it listens. */
export function realServer({ drainMs = 0 } = {}): Promise<RealServer> {
  const args = ["-m", "voxwire_server.cli", "run", "--host", "127.0.0.1", "--port", "0"];
  const child = spawn(PYTHON, args, {
    cwd: ROOT,
    env: { ...env, VOXWIRE_DRAIN_MS: String(drainMs) },
    stdio: ["ignore", "pipe", "ignore"],
  });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => child.kill(), READY_MS);
    let said = "";
    child.on("exit", () => reject(new Error(`the server ended: ${said}`)));
    child.stdout.on("data", (data) => {
      said += String(data);
      const url = /listens on (ws:\/\/\S+)\s/.exec(said)?.[1];
      if (url === undefined) return;
      clearTimeout(timer);
      resolve({ url, leave: () => child.kill("SIGTERM"), stop: () => stopped(child) });
    });
  });
}

function stopped(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null) {
      resolve();
      return;
    }
    const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
    child.once("exit", () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill("SIGTERM");
  });
}

/** Speaks a text into a WAV file. */
export function speak(path: string, text: string): void {
  const code = `
import asyncio, sys
from tests.support.espeak import render_wav, shared_espeak
async def main():
    await render_wav(sys.argv[1], sys.argv[2], voice="en-us+f2")
    await shared_espeak().aclose()
asyncio.run(main())
`;
  execFileSync(PYTHON, ["-c", code, path, text], { cwd: ROOT, env, stdio: "ignore" });
}
