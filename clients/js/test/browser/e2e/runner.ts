/** Pipecat's own runner with tests/interop/stock_bot.py, as a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ROOT } from "./folders.js";

/** The runner takes no socket, so another program may be faster. */
const TRIES = 3;

export class Runner {
  private constructor(
    /** Where its routes are; by its name, since it says `wss:` to any other host. */
    readonly url: string,
    private readonly child: ChildProcess,
    private readonly folder: string,
  ) {}

  static async start(): Promise<Runner> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await Runner.#start(await freePort());
      } catch (error) {
        if (tries === TRIES) throw error;
      }
    }
  }

  static async #start(port: number): Promise<Runner> {
    const folder = mkdtempSync(join(tmpdir(), "voxwire-runner-"));
    const python = process.env.PYTHON ?? join(ROOT, ".venv/bin/python");
    const script = join(ROOT, "tests/interop/stock_bot.py");
    const child = spawn(python, [script, "--port", `${port}`], {
      cwd: folder,
      stdio: ["ignore", "ignore", "pipe"],
    });
    const last: string[] = [];
    await new Promise<void>((resolve, reject) => {
      child.on("exit", (code) => reject(new Error(`the runner ended with ${code}: ${last}`)));
      createInterface(child.stderr).on("line", (line) => {
        last.splice(0, last.length - 20, line);
        if (line.includes("Uvicorn running on")) resolve();
      });
    });
    return new Runner(`http://localhost:${port}`, child, folder);
  }

  async stop(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.child.once("exit", () => resolve()));
    this.child.kill("SIGKILL"); // it would wait for its sessions
    await ended;
    rmSync(this.folder, { recursive: true });
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "localhost", () => {
      const address = probe.address();
      probe.close(() => resolve(address && typeof address === "object" ? address.port : 0));
    });
  });
}
