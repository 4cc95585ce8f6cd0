// A conversation with a real server on the console, over one transport: question by voice, tool
// card, words lit one by one, waterfall, barge-in with cut words, a lost connection, text, devices.
// Usage: node e2e.mjs URL TRANSPORT MIC.wav
// MIC.wav: silence while the bot greets (12 s), then a question about the weather, then silence.
import { launch } from "./browser.mjs";

const [url = "", transport = "", microphone = ""] = process.argv.slice(2);
const GREETING_MS = 11_500;

const trouble = [];
let failures = 0;
function check(name, holds, detail = "") {
  if (!holds) failures += 1;
  process.stdout.write(
    `${holds ? "ok  " : "FAIL"} ${transport}: ${name}${holds ? "" : ` ${detail}`}\n`,
  );
}

const words = (page) =>
  page
    .locator('[data-testid="word"]')
    .evaluateAll((all) =>
      all.map((word) => ({ text: word.textContent, state: word.dataset.state })),
    );

const reach = (page, state) =>
  page.locator(`[data-testid="state"][data-state="${state}"]`).waitFor({ timeout: 30_000 });

async function greeting(page) {
  await page.getByTestId("connect").click();
  await reach(page, "speaking");
  await page.waitForTimeout(1500);
  const all = await words(page);
  const firstUnheard = all.findIndex(({ state }) => state === "unheard");
  const later = all.slice(firstUnheard).every(({ state }) => state === "unheard");
  check("words light up in order", firstUnheard > 0 && later, JSON.stringify(all));
  const used = await page.getByTestId("transport").getAttribute("data-transport");
  check("the transport is the one that was chosen", used === transport, used);
  check("the bot's phrases are buttons", (await page.getByTestId("phrase").count()) === 3);
}

async function question(page) {
  await reach(page, "listening");
  await page.getByTestId("tool-card").waitFor({ timeout: 30_000 });
  await reach(page, "speaking");
  const card = await page.getByTestId("tool-card").first().textContent();
  check("the tool call is a card", /get_weather.*paris/is.test(card), card);
  await page.getByTestId("total").waitFor({ timeout: 10_000 });
  const total = Number(await page.getByTestId("total").textContent());
  const cells = page.locator('[data-testid="waterfall"] [data-ms]');
  const stages = await cells.evaluateAll((all) => all.map((cell) => Number(cell.dataset.ms)));
  const sum = stages.reduce((whole, ms) => whole + ms, 0);
  check(
    "the stages of the wait sum to it",
    stages.length >= 4 && sum === total,
    `${stages} ${total}`,
  );
  await reach(page, "idle");
  const all = await words(page);
  check(
    "everything was heard",
    all.every(({ state }) => state === "heard"),
    JSON.stringify(all),
  );
}

async function bargeIn(page) {
  await page.getByTestId("phrase").filter({ hasText: "long story" }).click();
  await reach(page, "speaking");
  const before = (await words(page)).length;
  await page.waitForTimeout(2500);
  await page.getByTestId("interrupt").click();
  await page.locator('[data-testid="word"][data-state="cut"]').first().waitFor({ timeout: 5000 });
  const story = (await words(page)).slice(-before);
  const firstCut = story.findIndex(({ state }) => state === "cut");
  const rest = story.slice(firstCut).every(({ state }) => state === "cut");
  check("an interruption cuts what was not heard", firstCut > 0 && rest, JSON.stringify(story));
}

async function loss(page, sockets) {
  const turns = await page.locator(".turn").count();
  for (const socket of sockets.splice(0)) await socket.close({ code: 1011 });
  const notice = page.getByTestId("notice-reconnecting");
  await notice.waitFor({ timeout: 10_000 });
  check("a lost connection is told", true);
  await notice.waitFor({ state: "detached", timeout: 20_000 });
  check("and found again with its conversation", (await page.locator(".turn").count()) >= turns);
}

async function textAndDevices(page) {
  const turns = await page.locator('.turn[data-role="bot"]').count();
  await page.getByTestId("text-input").fill("what is the weather in London");
  await page.getByTestId("text-input").press("Enter");
  await page.locator('.turn[data-role="bot"]').nth(turns).waitFor({ timeout: 20_000 });
  check("text is answered", true);
  await page.getByTestId("devices").click();
  const select = page.getByTestId("device-microphone");
  const names = await select.locator("option").allTextContents();
  check("the menu lists microphones", names.length > 0 && names.every(Boolean), `${names}`);
  await page.keyboard.press("Escape");
  check("Escape closes it", !(await select.isVisible()));
  await page.getByTestId("mic").click();
  check(
    "the microphone goes off",
    (await page.getByTestId("mic").getAttribute("aria-pressed")) === "false",
  );
  await page.locator(".transcript").focus();
  await page.keyboard.down("Space");
  await page.waitForTimeout(600);
  check(
    "and on while Space is held",
    (await page.getByTestId("mic").getAttribute("aria-pressed")) === "true",
  );
  await page.keyboard.up("Space");
  await page.getByTestId("disconnect").click();
  await reach(page, "closed");
  check(
    "the session ends",
    (await page.getByTestId("state").getAttribute("data-state")) === "closed",
  );
}

const browser = await launch(
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
  `--use-file-for-fake-audio-capture=${microphone}%noloop`,
);
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  const sockets = [];
  await page.routeWebSocket(/\/v1\/session$/, (socket) => {
    socket.connectToServer();
    sockets.push(socket);
  });
  page.on("pageerror", (error) => trouble.push(String(error)));
  page.on("console", (line) => line.type() === "error" && trouble.push(line.text()));
  page.on("request", (request) => {
    if (!request.url().startsWith(url)) trouble.push(`foreign: ${request.url()}`);
  });
  await page.goto(`${url}/?transport=${transport}`);
  const began = Date.now();
  await greeting(page);
  await page.waitForTimeout(Math.max(0, GREETING_MS - (Date.now() - began)));
  await question(page);
  await bargeIn(page);
  await loss(page, sockets);
  await textAndDevices(page);
  check("no error and no foreign request", trouble.length === 0, trouble.join("; "));
} finally {
  await browser.close();
}
process.exitCode = failures === 0 ? 0 : 1;
