// Writes screenshots/*.png: the console at the scenes of its demo conversation.
// Usage: node screenshots.mjs [NAME…]; builds the demo first.
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { launch } from "./browser.mjs";
import { serve } from "./serve.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const out = join(root, "screenshots");
const WIDE = { width: 1360, height: 860 };
const PHONE = { width: 390, height: 844 };

/** What to show: the scene at which the demo waits, and what proves that it is there. */
const SHOTS = [
  { name: "idle", scheme: "light", size: WIDE },
  { name: "idle-dark", scheme: "dark", size: WIDE },
  {
    name: "listening",
    scheme: "light",
    size: WIDE,
    hold: "listening",
    wait: '[data-state="listening"]',
  },
  {
    name: "tool-call",
    scheme: "light",
    size: WIDE,
    hold: "tool",
    wait: '[data-testid="tool-card"][data-status="done"]',
  },
  {
    name: "speaking",
    scheme: "light",
    size: WIDE,
    hold: "speaking",
    wait: '[data-testid="total"]',
  },
  {
    name: "interrupted",
    scheme: "light",
    size: WIDE,
    hold: "interrupted",
    wait: '.word[data-state="cut"]',
  },
  {
    name: "reconnecting",
    scheme: "light",
    size: WIDE,
    hold: "reconnecting",
    wait: '[data-testid="notice-reconnecting"]',
  },
  {
    name: "dark",
    scheme: "dark",
    size: WIDE,
    hold: "interrupted",
    wait: '.word[data-state="cut"]',
  },
  { name: "phone", scheme: "light", size: PHONE, hold: "speaking", wait: '[data-testid="total"]' },
  {
    name: "phone-dark",
    scheme: "dark",
    size: PHONE,
    hold: "interrupted",
    wait: '.word[data-state="cut"]',
  },
  { name: "phone-idle", scheme: "light", size: PHONE },
  {
    name: "phone-latency",
    scheme: "dark",
    size: PHONE,
    hold: "interrupted",
    wait: '.word[data-state="cut"]',
    view: "Latency",
  },
  {
    name: "phone-timeline",
    scheme: "light",
    size: PHONE,
    hold: "interrupted",
    wait: '.word[data-state="cut"]',
    view: "Timeline",
  },
  {
    name: "phone-events",
    scheme: "light",
    size: PHONE,
    hold: "speaking",
    wait: '[data-testid="total"]',
    view: "Events",
  },
];

async function take(browser, url, shot) {
  const page = await browser.newPage({
    viewport: shot.size,
    colorScheme: shot.scheme,
    deviceScaleFactor: 2,
  });
  const trouble = [];
  page.on("pageerror", (error) => trouble.push(String(error)));
  page.on("console", (message) => message.type() === "error" && trouble.push(message.text()));
  await page.goto(shot.hold ? `${url}?hold=${shot.hold}` : url);
  const connect = page.getByTestId("connect");
  await connect.waitFor();
  if (shot.hold) {
    await connect.click();
    await page.locator(shot.wait).first().waitFor({ state: "attached", timeout: 60_000 });
    await page.waitForTimeout(shot.hold === "speaking" ? 3600 : 1500);
  }
  if (shot.view) await page.getByRole("button", { name: shot.view, exact: true }).click();
  await page.waitForTimeout(700);
  await page.screenshot({ path: join(out, `${shot.name}.png`) });
  await page.close();
  if (trouble.length > 0) throw new Error(`${shot.name}: ${trouble.join("; ")}`);
}

const wanted = process.argv.slice(2);
mkdirSync(out, { recursive: true });
await build({ root, mode: "demo", logLevel: "warn", configFile: join(root, "vite.config.ts") });
const server = await serve(join(root, "dist/demo"));
const browser = await launch();
try {
  const shots = SHOTS.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
  for (const shot of shots) await take(browser, server.url, shot);
  process.stdout.write(`${shots.length} screenshots in ${out}\n`);
} finally {
  await browser.close();
  server.close();
}
