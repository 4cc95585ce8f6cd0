// Writes screenshots/*.png: the console in a real conversation with the offline bot, over WebRTC,
// with a microphone that plays speech. Usage: node screenshots.mjs; the console must be built.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { launch } from "./browser.mjs";

const app = dirname(dirname(fileURLToPath(import.meta.url)));
const root = join(app, "../../../..");
const python = join(root, ".venv/bin/python");
const out = join(app, "screenshots");
const WIDE = { width: 1360, height: 860 };
const PHONE = { width: 360, height: 740 };
const RATE = 48_000;
const WAIT = { timeout: 60_000 };

/** What the user says, and the seconds of silence before it. */
const SPEECH = [
  [10, "what is the weather in Paris"],
  [80, ""],
];

/** The samples of a sentence in the offline bot's voice. */
function spoken(text, folder) {
  const path = join(folder, "sentence.wav");
  const code =
    "import asyncio, sys; from tests.support.page_server import speak; " +
    "asyncio.run(speak(sys.argv[1], sys.argv[2]))";
  execFileSync(python, ["-c", code, path, text], { cwd: root });
  return readFileSync(path).subarray(44);
}

function microphone(folder) {
  const parts = SPEECH.flatMap(([silence, text]) => [
    Buffer.alloc(silence * RATE * 2),
    text === "" ? Buffer.alloc(0) : spoken(text, folder),
  ]);
  const data = Buffer.concat(parts);
  const head = Buffer.alloc(44);
  head.write("RIFF", 0);
  head.writeUInt32LE(36 + data.length, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(RATE, 24);
  head.writeUInt32LE(RATE * 2, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write("data", 36);
  head.writeUInt32LE(data.length, 40);
  const path = join(folder, "microphone.wav");
  writeFileSync(path, Buffer.concat([head, data]));
  return path;
}

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

async function startServer() {
  const port = await freePort();
  const program = join(root, ".venv/bin/voxwire-server");
  const child = spawn(program, ["run", "--port", String(port)], { cwd: root, stdio: "ignore" });
  const url = `http://127.0.0.1:${port}`;
  for (let tries = 0; tries < 200; tries++) {
    const answer = await fetch(`${url}/readyz`).catch(() => undefined);
    if (answer?.ok) return { url, stop: () => child.kill("SIGTERM") };
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  child.kill("SIGKILL");
  throw new Error("the server was not ready within 40 s");
}

/** Lets a page's control socket be cut; new ones are refused until `open` is called. */
async function cuttable(page) {
  const state = { refuse: false, sockets: [] };
  await page.routeWebSocket(/\/v1\/session/, (socket) => {
    if (state.refuse) return void socket.close({ code: 1013 });
    state.sockets.push(socket);
    socket.connectToServer();
  });
  return {
    cut() {
      state.refuse = true;
      for (const socket of state.sockets.splice(0)) void socket.close({ code: 1013 });
    },
    open() {
      state.refuse = false;
    },
  };
}

async function takeAll(browser, url) {
  const page = await browser.newPage({
    viewport: WIDE,
    colorScheme: "light",
    deviceScaleFactor: 1.5,
  });
  const trouble = [];
  page.on("pageerror", (error) => trouble.push(String(error)));
  const link = await cuttable(page);
  const shoot = async (name) => {
    await page.screenshot({ path: join(out, `${name}.png`) });
    process.stdout.write(`  ${name}\n`);
  };
  /** Waits until the bot has said everything and listens. */
  const answered = async () => {
    const unheard = () => !document.querySelector('[data-testid="word"][data-state="unheard"]');
    await page.waitForFunction(unheard, undefined, WAIT);
    await page.locator('[data-testid="state"]:not([data-state="speaking"])').waitFor(WAIT);
  };
  /** Waits until that many words in a row are lit and more are to come. */
  const litWords = (count) =>
    page.waitForFunction(
      (wanted) => {
        const words = [...document.querySelectorAll('[data-testid="word"]')];
        const states = words.map((word) => word.dataset.state);
        const next = states.indexOf("unheard");
        return next >= wanted && states.slice(next - wanted, next).every((s) => s === "heard");
      },
      count,
      WAIT,
    );

  await page.goto(url);
  await page.getByTestId("connect").waitFor();
  await page.waitForTimeout(800);
  await shoot("idle");
  await page.getByTestId("connect").click();
  await page.locator('[data-testid="word"][data-state="heard"]').first().waitFor(WAIT);
  await answered();
  await page.waitForTimeout(1200);
  await shoot("listening");
  await page.getByTestId("tool-card").first().waitFor(WAIT);
  await page.waitForTimeout(900);
  await shoot("tool-call");
  await litWords(6);
  await shoot("speaking");
  await page.setViewportSize(PHONE);
  await page.waitForTimeout(600);
  await shoot("phone");
  await page.setViewportSize(WIDE);
  await answered();
  await page.getByTestId("text-input").fill("tell me a long story");
  await page.keyboard.press("Enter");
  await litWords(12);
  await page.getByTestId("interrupt").click();
  await page.locator('[data-testid="word"][data-state="cut"]').first().waitFor(WAIT);
  await page.waitForTimeout(700);
  await shoot("interrupted");
  await page.emulateMedia({ colorScheme: "dark" });
  await page.waitForTimeout(1500);
  await shoot("dark");
  await page.emulateMedia({ colorScheme: "light" });
  link.cut();
  await page.getByTestId("notice-reconnecting").waitFor(WAIT);
  await page.waitForTimeout(700);
  await shoot("reconnecting");
  link.open();
  await page.getByTestId("notice-reconnecting").waitFor({ ...WAIT, state: "detached" });
  await page.getByTestId("disconnect").click();
  await page.getByTestId("save-wav").waitFor(WAIT);
  await page.waitForTimeout(700);
  await shoot("ended");
  if (trouble.length > 0) throw new Error(trouble.join("; "));
}

const folder = mkdtempSync(join(tmpdir(), "voxwire-screenshots-"));
mkdirSync(out, { recursive: true });
const server = await startServer();
let browser;
try {
  browser = await launch(
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    `--use-file-for-fake-audio-capture=${microphone(folder)}%noloop`,
  );
  await takeAll(browser, server.url);
} finally {
  await browser?.close();
  server.stop();
  rmSync(folder, { recursive: true });
}
