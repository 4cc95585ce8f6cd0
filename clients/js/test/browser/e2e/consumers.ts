/** Apps that are built with the packages as they are published (clients/js/test/consumers). */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { JS, ROOT } from "./folders.js";

export const CONSUMERS = join(JS, "test/consumers");
/** `make test` installs what these apps are built with; without it they are left out. */
export const INSTALLED = existsSync(join(CONSUMERS, "node_modules/next"));

/** The environment of a build that asks nobody for anything. */
const QUIET = { ...process.env, NEXT_TELEMETRY_DISABLED: "1", CI: "1" };

/** Packs the three packages and unpacks them where the apps find them, as an install would. */
export function installPackages(): void {
  const folder = mkdtempSync(join(tmpdir(), "voxwire-tarballs-"));
  const python = process.env.PYTHON ?? join(ROOT, ".venv/bin/python");
  execFileSync(python, [join(ROOT, "scripts/pack.py"), "--npm", folder], { stdio: "pipe" });
  for (const tarball of readdirSync(folder)) {
    const [, name = ""] = /^voxwire-(\w+)-/.exec(tarball) ?? [];
    const target = join(CONSUMERS, "node_modules/@voxwire", name);
    rmSync(target, { recursive: true, force: true });
    mkdirSync(target, { recursive: true });
    execFileSync("tar", ["xzf", join(folder, tarball), "-C", target, "--strip-components=1"]);
  }
  rmSync(folder, { recursive: true });
}

/** Copies folders over each other to a place from which the packages are found. */
export function makeApp(name: string, ...sources: readonly string[]): string {
  const folder = join(CONSUMERS, "build", name);
  rmSync(folder, { recursive: true, force: true });
  const filter = (path: string) => !/\/(node_modules|\.next)(\/|$)/.test(path.slice(ROOT.length));
  for (const source of sources) cpSync(source, folder, { recursive: true, filter });
  return folder;
}

/** Runs a tool of theirs to its end; its output is the error when it fails. */
export function run(tool: string, args: readonly string[], folder: string, env = {}): string {
  const command = join(CONSUMERS, "node_modules/.bin", tool);
  try {
    const options = { cwd: folder, env: { ...QUIET, ...env }, encoding: "utf8" } as const;
    return execFileSync(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`${tool} ${args.join(" ")}:\n${stdout}${stderr}`);
  }
}

/** `next start` on a free port. */
export class NextServer {
  private constructor(
    readonly url: string,
    private readonly child: ChildProcess,
  ) {}

  static async start(folder: string, own: Record<string, string>): Promise<NextServer> {
    const next = join(CONSUMERS, "node_modules/next/dist/bin/next");
    const args = [next, "start", "--hostname", "127.0.0.1", "--port", "0"];
    const env = { ...QUIET, ...own };
    const child = spawn(process.execPath, args, {
      ...{ cwd: folder, env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const url = await new Promise<string>((resolve, reject) => {
      child.on("exit", (code) => reject(new Error(`next start ended with ${code}`)));
      if (!child.stdout) return;
      createInterface(child.stdout).on("line", (line) => {
        const [found] = /http:\/\/127\.0\.0\.1:[1-9]\d*/.exec(line) ?? [];
        if (found) resolve(found);
      });
    });
    return new NextServer(url, child);
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill();
    await ended;
  }
}
