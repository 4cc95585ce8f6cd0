/** `examples/react-app` against the real server: its README, done by hand. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { createServer, type ViteDevServer } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launch } from "../../apps/console/scripts/browser.mjs";
import { type OfflineServer, root, startOffline } from "./offline-server.js";

const folder = join(root, "examples/react-app");
let server: OfflineServer;
let vite: ViteDevServer;
let browser: Browser;
let page: Page;
const trouble: string[] = [];

beforeAll(async () => {
  server = await startOffline();
  process.env.VOXWIRE_SERVER = server.url;
  vite = await createServer({
    root: folder,
    logLevel: "warn",
    server: { port: 0, host: "127.0.0.1" },
  });
  await vite.listen();
  browser = await launch("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream");
  page = await browser.newPage();
  page.on("pageerror", (error) => trouble.push(String(error)));
  page.on("response", (response) => {
    if (response.status() >= 400) trouble.push(`${response.status()} ${response.url()}`);
  });
  page.on("console", (line) => {
    if (line.type() === "error") trouble.push(`${line.text()} ${line.location().url}`);
  });
});

afterAll(async () => {
  await browser?.close();
  await vite?.close();
  server?.stop();
});

test("the bot shows Paris on the map of the page", async () => {
  const [url = ""] = vite.resolvedUrls?.local ?? [];
  await page.goto(url);
  await page.getByTestId("connect").click();
  await page.locator('[data-testid="word"][data-state="heard"]').first().waitFor();
  await page.getByText("Send").click();
  await page.getByTestId("map").getByText("Paris").waitFor();
  await page.locator('[data-testid="word"]').getByText("map").first().waitFor();
  await page.getByTestId("connect").click();
  await page.getByTestId("state").getByText("offline").waitFor();
  expect(trouble).toEqual([]);
});

test("it has at most 150 lines of its own", () => {
  const sources = [
    "index.html",
    "vite.config.ts",
    ...readdirSync(join(folder, "src")).map((name) => `src/${name}`),
  ];
  const lines = sources.flatMap((name) =>
    readFileSync(join(folder, name), "utf8").trimEnd().split("\n"),
  );
  expect(lines.length).toBeLessThanOrEqual(150);
});
