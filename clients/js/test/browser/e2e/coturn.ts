/** The real coturn, as the tests in Python run it (tests/support/coturn.py). */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ROOT } from "./folders.js";

export interface TurnUrls {
  readonly stun: string;
  /** Over UDP, TCP and TLS. */
  readonly turn: readonly string[];
}

/** A TURN server on 127.0.0.1, and the URLs of one that is not there. */
export class Turn {
  private constructor(
    private readonly child: ChildProcess,
    readonly here: TurnUrls,
    readonly nowhere: TurnUrls,
  ) {}

  /** Its files go into `folder`. */
  static async start(folder: string, secret: string): Promise<Turn> {
    const script = join(ROOT, "tests/support/page_turn.py");
    const python = process.env.PYTHON ?? join(ROOT, ".venv/bin/python");
    const child = spawn(python, [script, folder, secret], { stdio: ["pipe", "pipe", "inherit"] });
    const said = await new Promise<string>((resolve, reject) => {
      child.on("exit", (code) => reject(new Error(`coturn ended with ${code}`)));
      createInterface(child.stdout).once("line", resolve);
    });
    const { here, nowhere } = JSON.parse(said);
    return new Turn(child, here, nowhere);
  }

  /** It ends when its standard input does. */
  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.stdin?.end();
    await ended;
  }
}
