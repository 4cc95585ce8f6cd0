/** The real server, as a process of its own (tests/support/page_server.py). */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ROOT } from "./folders.js";
import { sleep } from "./times.js";

const READY_MS = 90_000;

export interface ServerOptions {
  readonly bot?: "clicks" | "offline" | "open";
  readonly folder?: string;
  readonly policy?: string;
  readonly texts?: Readonly<Record<string, string>>;
  readonly public_port?: number;
  readonly public_host?: string;
  readonly ledger?: string;
  readonly wav?: { readonly path: string; readonly text: string };
  /** It has rooms for pages with a stub of daily-js. */
  readonly daily?: boolean;
  readonly settings?: Readonly<Record<string, unknown>>;
}

export class Server {
  private constructor(
    readonly port: number,
    readonly url: string,
    private readonly child: ChildProcess,
    private readonly ledger: string | undefined,
  ) {}

  /** Starts one on a free port; it may not take sessions yet. */
  static async start(options: ServerOptions): Promise<Server> {
    const script = join(ROOT, "tests/support/page_server.py");
    const python = process.env.PYTHON ?? join(ROOT, ".venv/bin/python");
    const child = spawn(python, [script, JSON.stringify(options)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const port = await new Promise<number>((resolve, reject) => {
      child.on("exit", (code) => reject(new Error(`the server ended with ${code}`)));
      createInterface(child.stdout).on("line", (line) => {
        const match = /^listening (\d+)/.exec(line);
        if (match) resolve(Number(match[1]));
      });
    });
    const url = `http://127.0.0.1:${options.public_port ?? port}`;
    return new Server(port, url, child, options.ledger);
  }

  /** Waits until it takes sessions. */
  async ready(): Promise<this> {
    const untilMs = performance.now() + READY_MS;
    while (performance.now() < untilMs) {
      const answer = await fetch(`${this.url}/readyz`).catch(() => undefined);
      if (answer?.ok) return this;
      await sleep(100);
    }
    throw new Error("the server was not ready in time");
  }

  /** What it wrote down about a session. */
  messages(sessionId: string, kind: "sent" | "got"): string[] {
    const lines = readFileSync(this.ledger ?? "", "utf8").split("\n");
    const start = `${sessionId} ${kind} `;
    return lines.filter((line) => line.startsWith(start)).map((line) => line.slice(start.length));
  }

  /** Loses every packet of the WebRTC connections that there are. */
  cutMedia(): void {
    this.child.stdin?.write("cut\n");
  }

  /** Loses every packet of those to come, too, or no longer. */
  blockMedia(blocks: boolean): void {
    this.child.stdin?.write(blocks ? "block\n" : "open\n");
  }

  /** What was cut works again. */
  healMedia(): void {
    this.child.stdin?.write("heal\n");
  }

  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  /** Tells it to leave; it ends when its sessions have, or its time is over. */
  leave(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.child.once("exit", () => resolve()));
    this.child.kill("SIGTERM");
    return ended;
  }

  stop(): Promise<void> {
    return this.#end("SIGTERM");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => this.child.once("exit", () => resolve()));
    this.child.kill(signal);
    const late = setTimeout(() => this.child.kill("SIGKILL"), 8000);
    await ended;
    clearTimeout(late);
  }
}
