/** Debian's Firefox, driven over WebDriver BiDi; its profile sets nothing about ICE. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer, { type Browser, type Page } from "puppeteer-core";
import { sleep } from "./times.js";

const PROGRAMS = { "firefox-esr": "/usr/bin/firefox-esr", pulseaudio: "/usr/bin/pulseaudio" };
const PREFERENCES = {
  // pages may sound without an act of the user; allowing it is what is not tried here
  "media.autoplay.default": 0,
  "media.autoplay.blocking_policy": 0,
};
/** A Firefox that does not end in this time is killed. */
const CLOSE_MS = 5000;
const SINK_MS = 60_000;

const absent = Object.entries(PROGRAMS).filter(([, path]) => !existsSync(path));
/** Why there is no Firefox to try; undefined = there is one. */
export const missing = absent.length
  ? `Debian: apt-get install ${absent.map(([name]) => name).join(" ")}`
  : undefined;

/** A Firefox, and the sound card that it plays to: without one its audio does not run. */
export class Firefox {
  private constructor(
    private readonly browser: Browser,
    private readonly sink: ChildProcess,
    private readonly folder: string,
  ) {}

  static async launch(): Promise<Firefox> {
    const folder = mkdtempSync(join(tmpdir(), "voxwire-firefox-"));
    const socket = join(folder, "sound");
    const sink = spawn(
      PROGRAMS.pulseaudio,
      [
        ...["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"],
        ...["--disable-shm=yes", "-L", "module-null-sink rate=48000"],
        ...["-L", `module-native-protocol-unix socket=${socket} auth-anonymous=1`],
      ],
      { stdio: "ignore", env: { ...process.env, HOME: folder, XDG_RUNTIME_DIR: folder } },
    );
    const untilMs = performance.now() + SINK_MS;
    while (!existsSync(socket)) {
      if (performance.now() > untilMs) throw new Error("pulseaudio does not start");
      await sleep(20);
    }
    const browser = await puppeteer.launch({
      browser: "firefox",
      executablePath: PROGRAMS["firefox-esr"],
      headless: true,
      extraPrefsFirefox: PREFERENCES,
      env: { ...process.env, PULSE_SERVER: `unix:${socket}` },
    });
    return new Firefox(browser, sink, folder);
  }

  /** A page of the tests' site whose microphone is a WAV, played into it over Web Audio. */
  async open(url: string, wav: string): Promise<Page> {
    const page = await this.browser.newPage();
    page.on("pageerror", (error) => process.stdout.write(`page error: ${String(error)}\n`));
    await page.evaluateOnNewDocument(useWav, wav);
    await page.goto(`${url}/page/`);
    await page.waitForFunction(() => window.e2e !== undefined);
    return page;
  }

  async close(): Promise<void> {
    const late = setTimeout(() => this.browser.process()?.kill("SIGKILL"), CLOSE_MS);
    await this.browser.close();
    clearTimeout(late);
    this.sink.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Runs in the page, before anything of it. */
function useWav(wav: string): void {
  navigator.mediaDevices.getUserMedia = async () => {
    const context = new AudioContext();
    const source = new AudioBufferSourceNode(context, {
      buffer: await context.decodeAudioData(await (await fetch(wav)).arrayBuffer()),
    });
    const microphone = new MediaStreamAudioDestinationNode(context);
    source.connect(microphone);
    source.start();
    return microphone.stream;
  };
}
