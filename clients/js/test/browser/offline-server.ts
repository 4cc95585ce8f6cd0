/** voxwire-server with its offline bot, in a process of its own on a free port. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../../../", import.meta.url));
const venv = join(root, ".venv/bin/python");
/** The Python that has the server. */
export const python = existsSync(venv) ? venv : "python";

export interface OfflineServer {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  stop(): void;
}

/** Starts it; resolves when it listens. */
export async function startOffline(): Promise<OfflineServer> {
  const child = spawn(python, ["-m", "voxwire_server.cli", "run", "--port", "0"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const url = await new Promise<string>((resolve, reject) => {
    child.on("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    createInterface(child.stdout).on("line", (line) => {
      const found = /listens on ws:\/\/(\S+)/.exec(line);
      if (found) resolve(`http://${found[1]}`);
    });
  });
  return { url, stop: () => child.kill("SIGTERM") };
}
