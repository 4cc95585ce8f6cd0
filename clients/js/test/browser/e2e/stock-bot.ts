/** A bot of Pipecat's own runner, as a process of its own (tests/support/stock_bot_for_pages.py). */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ROOT } from "./folders.js";

export interface StockBotOptions {
  /** Of the runner. */
  readonly arguments?: readonly string[];
  /** Files, and what is to be spoken into them. */
  readonly speech?: Readonly<Record<string, string>>;
}

export class StockBot {
  private constructor(
    readonly url: string,
    private readonly child: ChildProcess,
  ) {}

  static async start(options: StockBotOptions = {}): Promise<StockBot> {
    const script = join(ROOT, "tests/support/stock_bot_for_pages.py");
    const python = process.env.PYTHON ?? join(ROOT, ".venv/bin/python");
    const child = spawn(python, [script, JSON.stringify(options)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const url = await new Promise<string>((resolve, reject) => {
      child.on("exit", (code) => reject(new Error(`the stock bot ended with ${code}`)));
      createInterface(child.stdout).on("line", (line) => {
        const match = /^listening (\S+)/.exec(line);
        if (match?.[1]) resolve(match[1]);
      });
    });
    return new StockBot(url, child);
  }

  /** Loses every packet of the WebRTC connections that there are. */
  cut(): void {
    this.child.stdin?.write("cut\n");
  }

  /** Ends the runner in the middle of what it does. */
  kill(): void {
    this.child.stdin?.write("kill\n");
  }

  async stop(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.child.once("exit", () => resolve()));
    this.child.stdin?.end();
    await ended;
  }
}
