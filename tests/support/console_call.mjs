// A call on a server's console in Chromium, by voice:
// console_call.mjs URL TOKEN TRANSPORT MICROPHONE.wav ADDRESS NAME...: names are those of the address.
// Says "connected" when it is, and ends with one line of JSON when the bot's answer was heard.
import { chromium } from "playwright-core";

const [url, token, transport, microphone, address, ...names] = process.argv.slice(2);
const UNTIL_MS = 45_000;

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
    // where there is no DNS, Chromium's own waits for it whatever /etc/hosts says
    `--host-resolver-rules=${names.map((name) => `MAP ${name} ${address}`).join(", ")}`,
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
  const question = page.locator('.turn[data-role="user"]');
  await question.filter({ hasText: "what is the weather in paris" }).waitFor();
  await page.waitForFunction(() => {
    const answer = [...document.querySelectorAll('.turn[data-role="bot"]')].at(-1);
    const words = [...(answer?.querySelectorAll('[data-testid="word"]') ?? [])];
    const heard = words.filter((word) => word.getAttribute("data-state") === "heard");
    return heard.some((word) => word.textContent?.includes("low"));
  });
  const answer = await page.locator('.turn[data-role="bot"]').last().innerText();
  const carrier = page.getByTestId("transport");
  console.log(JSON.stringify({ answer, transport: await carrier.getAttribute("data-transport") }));
} catch (error) {
  console.error(await page?.locator("body").innerText().catch(String));
  throw error;
} finally {
  await browser.close();
}
