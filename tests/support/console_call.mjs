// A call on a server's console in Chromium: console_call.mjs URL TOKEN TRANSPORT QUESTION.wav
// ADDRESS NAME..., which are the address's.
// Says "connected" when it is. When the greeting was heard, the microphone is closed and opens on
// the question. Ends with one line of JSON when the answer was heard: what was understood, the words
// that were heard, the carrier, and the loudest sample of user and bot in what the page has kept.
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [url, token, transport, question, address, ...names] = process.argv.slice(2);
const UNTIL_MS = 60_000;
const WAV_HEADER_BYTES = 44;

const folder = mkdtempSync(join(tmpdir(), "voxwire-call-"));
/** Is read anew by every microphone that opens; silence at first. */
const microphone = join(folder, "microphone.wav");
writeFileSync(microphone, readFileSync(question).fill(0, WAV_HEADER_BYTES));

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    // TURN over UDP looks for "turn.example.com." with its dot, which no /etc/hosts has
    `--host-resolver-rules=${names.map((name) => `MAP ${name}* ${address}`).join(", ")}`,
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    `--use-file-for-fake-audio-capture=${microphone}%noloop`,
  ],
});

/** Remembers the page's microphones; runs in the page before the page does. */
function watch() {
  window.microphones = [];
  const devices = navigator.mediaDevices;
  const open = devices.getUserMedia.bind(devices);
  devices.getUserMedia = async (wanted) => {
    const stream = await open(wanted);
    window.microphones.push(...stream.getTracks());
    return stream;
  };
}

/** Waits until so many microphones are open. */
const live = (page, count) =>
  page.waitForFunction(
    (count) =>
      window.microphones.filter(({ readyState }) => readyState === "live").length === count,
    count,
  );

/** Waits until the bot's turn at a place was heard to its end so far, and has a text in it. */
async function heard(page, turn, text) {
  const found = await page.waitForFunction(
    ([turn, text]) => {
      const one = document.querySelectorAll('.turn[data-role="bot"]')[turn];
      const words = [...(one?.querySelectorAll('[data-testid="word"]') ?? [])];
      const all = words.every((word) => word.getAttribute("data-state") === "heard");
      const said = words.map((word) => word.textContent?.trim()).join(" ");
      return all && new RegExp(text).exec(said)?.[0];
    },
    [turn, text],
  );
  return found.jsonValue();
}

/** Loudest sample of each channel of a stereo WAV, 0 … 1. */
function loudest(wav) {
  const peaks = [0, 0];
  for (let at = WAV_HEADER_BYTES; at + 1 < wav.length; at += 2) {
    const channel = ((at - WAV_HEADER_BYTES) / 2) % 2;
    peaks[channel] = Math.max(peaks[channel], Math.abs(wav.readInt16LE(at)) / 32_768);
  }
  return peaks;
}

let page;
try {
  page = await browser.newPage();
  page.setDefaultTimeout(UNTIL_MS);
  await page.addInitScript(watch);
  await page.goto(`${url}/?transport=${transport}`);
  await page.getByTestId("connect").click();
  await page.getByLabel("Token").fill(token);
  await page.getByLabel("Token").press("Enter");
  await page.locator(`[data-testid="transport"][data-transport="${transport}"]`).waitFor();
  console.log("connected");
  await live(page, 1);
  await heard(page, 0, "You can say: .*\\.$");
  await page.locator('.stage[data-state="idle"]').waitFor();
  await page.getByTestId("mic").click();
  await live(page, 0);
  copyFileSync(question, microphone);
  await page.getByTestId("mic").click();
  const answer = await heard(page, 1, "Let me check\\. In Paris it .* and a low");
  const asked = page.locator('.turn[data-role="user"] .said[data-final="true"]');
  const result = {
    asked: await asked.allInnerTexts(),
    answer,
    transport: await page.getByTestId("transport").getAttribute("data-transport"),
  };
  await page.getByTestId("disconnect").click();
  const download = page.waitForEvent("download");
  await page.getByTestId("save-wav").click();
  const kept = readFileSync(await (await download).path());
  console.log(JSON.stringify({ ...result, loudest: loudest(kept) }));
} catch (error) {
  console.error(await page?.locator("body").innerText().catch(String));
  throw error;
} finally {
  await browser.close();
  rmSync(folder, { recursive: true, force: true });
}
