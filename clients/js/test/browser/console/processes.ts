/** Python processes of the console's tests. */
import { execFile, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { ROOT } from "../e2e/folders.js";
import { sleep } from "../e2e/times.js";
import { FOLDER } from "./page.js";

const PYTHON = process.env.PYTHON ?? join(ROOT, ".venv/bin/python");
const READY_MS = 90_000;
const run = promisify(execFile);
const support = (name: string) => join(ROOT, "tests/support", name);

/** Writes a file for the fake microphone: silence, a text in the bot's voice, silence. */
export async function speak(path: string, leadS: number, text: string, trailS: number) {
  await run(PYTHON, [support("microphone_file.py"), path, `${leadS}`, text, `${trailS}`]);
}

/** The offline bot with a synthesiser that can be slowed down. */
export async function slowServer() {
  const child = spawn(PYTHON, [support("slow_server.py"), FOLDER], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const port = await new Promise<string>((resolve, reject) => {
    child.on("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    createInterface(child.stdout).on("line", (line) => {
      const found = /^listening (\d+)/.exec(line)?.[1];
      if (found !== undefined) resolve(found);
    });
  });
  const url = `http://127.0.0.1:${port}`;
  const untilMs = performance.now() + READY_MS;
  while (!(await fetch(`${url}/readyz`).catch(() => undefined))?.ok) {
    if (performance.now() > untilMs) throw new Error("the server was not ready in time");
    await sleep(100);
  }
  return {
    url,
    delay: (ms: number) => child.stdin.write(`${ms}\n`),
    stop: async () => {
      child.kill("SIGTERM");
      await ended;
    },
  };
}
