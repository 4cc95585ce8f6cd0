// A call on a server's console in Chromium: console_call.mjs URL TOKEN TRANSPORT MICROPHONE.wav
// ADDRESS NAME..., which are the address's.
// What the microphone says has to be heard as words, then a question is typed and its answer heard.
// Says "connected" when it is, and ends with one line of JSON when the bot's answer was heard.
import { chromium } from "playwright-core";

const [url, token, transport, microphone, address, ...names] = process.argv.slice(2);
const UNTIL_MS = 60_000;
/** An answer lasts 6 s; what is typed into it is another matter. */
const SETTLES_MS = 8_000;

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
let page;
try {
  page = await browser.newPage();
  page.setDefaultTimeout(UNTIL_MS);
  await page.goto(`${url}/?transport=${transport}`);
  await page.getByTestId("connect").click();
  await page.getByLabel("Token").fill(token);
  await page.getByLabel("Token").press("Enter");
  await page.locator(`[data-testid="transport"][data-transport="${transport}"]`).waitFor();
  console.log("connected");
  const voice = page.locator('.turn[data-role="user"]').filter({ hasText: /weather|paris/i });
  await voice.waitFor();
  await page.waitForFunction(
    () => document.querySelectorAll('.turn[data-role="bot"]').length > 1,
  );
  await page.waitForTimeout(SETTLES_MS);
  await page.getByTestId("text-input").fill("what is the weather in paris");
  await page.getByTestId("text-input").press("Enter");
  const found = await page.waitForFunction(() => {
    const answer = [...document.querySelectorAll('.turn[data-role="bot"]')].at(-1);
    const words = [...(answer?.querySelectorAll('[data-testid="word"]') ?? [])];
    const heard = words.filter((word) => word.getAttribute("data-state") === "heard");
    const text = heard.map((word) => word.textContent?.trim()).join(" ");
    return /In Paris it .* and a low/.exec(text)?.[0];
  });
  const answer = await found.jsonValue();
  const carrier = page.getByTestId("transport");
  const spoken = await voice.first().innerText();
  console.log(JSON.stringify({ answer, spoken, transport: await carrier.getAttribute("data-transport") }));
} catch (error) {
  console.error(await page?.locator("body").innerText().catch(String));
  throw error;
} finally {
  await browser.close();
}
