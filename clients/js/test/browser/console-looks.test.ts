/** The console idle and talking, light and dark, on a phone, a tablet and a desk: axe finds nothing
 * serious, nothing lies on anything else or sticks out. And the example app, built, beside it. */
import { execFile, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Browser, Locator } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Console, FOLDER } from "./console/page.js";
import { launch } from "./e2e/chromium.js";
import { ROOT } from "./e2e/folders.js";
import { Server } from "./e2e/server.js";

const SIZES = [
  { width: 360, height: 740, scheme: "dark" },
  { width: 768, height: 1024, scheme: "light" },
  { width: 1360, height: 860, scheme: "dark" },
] as const;
const VIEWS = ["Conversation", "Latency", "Timeline", "Events"];
/** A phone that lies small in a hand, its keyboard away. */
const SMALL = { width: 360, height: 560 };
/** What can be pressed or typed into; what belongs together is one. */
const CONTROLS = "button, .segments, select, input:not([type=radio]), summary";
const APP = join(ROOT, "examples/react-app");
const APP_LINES = 150;

let server: Server;
let browser: Browser;

beforeAll(async () => {
  server = await (await Server.start({ folder: FOLDER })).ready();
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

/** What is too wide, or lies on something else, of what is to be seen. */
const misplaced = (console: Console) =>
  console.page.evaluate((selector) => {
    const { scrollWidth, scrollHeight, clientWidth, clientHeight } = document.documentElement;
    const problems: string[] = [];
    if (scrollWidth > clientWidth) problems.push(`${scrollWidth} wide of ${clientWidth}`);
    if (scrollHeight > clientHeight) problems.push(`${scrollHeight} high of ${clientHeight}`);
    const seen = (node: Element, x: number, y: number) => {
      const top = document.elementFromPoint(x, y);
      return top !== null && (node.contains(top) || top.contains(node));
    };
    for (const node of document.querySelectorAll(selector)) {
      const { left, right, top, bottom, width } = node.getBoundingClientRect();
      const name = node.getAttribute("data-testid") ?? node.textContent ?? node.tagName;
      const clipped = node.closest(".events, .waits, .transcript, .visually-hidden, .phrases");
      if (!node.checkVisibility({ visibilityProperty: true }) || width < 2 || clipped) continue;
      if (left < -0.5 || right > clientWidth + 0.5) problems.push(`${name} sticks out`);
      if (top < -0.5 || bottom > clientHeight + 0.5) problems.push(`${name} is out of sight`);
      else if (!seen(node, (left + right) / 2, (top + bottom) / 2))
        problems.push(`${name} is covered`);
    }
    return problems;
  }, CONTROLS);

/** Whether all of it is on the screen as it is, without scrolling. */
const inSight = (what: Locator) =>
  what.evaluate((node) => {
    const { left, right, top, bottom, width } = node.getBoundingClientRect();
    return width > 0 && left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
  });

/** Turns of the latency list that show in part. */
const clippedTurns = (console: Console) =>
  console.page.evaluate(() => {
    const box = document.querySelector(".waits")?.getBoundingClientRect();
    const rows = [...document.querySelectorAll(".waits li")];
    if (box === undefined || rows.length < 2) return ["no list"];
    const part = rows.filter((row) => {
      const { top, bottom } = row.getBoundingClientRect();
      return top < box.bottom - 1 && bottom > box.bottom + 1;
    });
    return part.map(({ textContent }) => textContent ?? "");
  });

describe.each(SIZES)("at $width px, $scheme", (size) => {
  test("idle and talking", async () => {
    const console = await Console.open(browser, `${server.url}/`, { ...size, still: true });
    const look = async (what: string) => {
      for (const view of size.width > 900 ? [] : VIEWS) {
        await console.page.getByRole("button", { name: view, exact: true }).click();
        expect([what, view, await misplaced(console)]).toEqual([what, view, []]);
      }
      if (size.width <= 900)
        await console.page.getByRole("button", { name: "Conversation", exact: true }).click();
      expect([what, await misplaced(console)]).toEqual([what, []]);
      if (what === "talking" || size.width > 900)
        expect([what, await console.violations()]).toEqual([what, []]);
    };
    await look("idle");
    expect(await console.page.locator(".steps li").count()).toBe(3);
    const begins = console.at("connect");
    if (size.width === SMALL.width) {
      await console.page.setViewportSize(SMALL);
      expect(await inSight(begins)).toBe(true);
      await console.page.setViewportSize(size);
    }
    await console.connect("websocket");
    if (size.width === SMALL.width) {
      await console.page.setViewportSize(SMALL);
      expect(await inSight(console.at("mic"))).toBe(true);
      await console.page.setViewportSize(size);
    }
    for (let turn = 1; turn <= 4; turn += 1) {
      await console.say("say 30");
      await console.until(
        "the bot speaks",
        (turn) =>
          document.querySelectorAll('.turn[data-role="bot"] .word[data-state="heard"]').length >
          turn,
        turn,
      );
    }
    await console.lit(2);
    await look("talking");
    if (size.width > 900) expect(await clippedTurns(console)).toEqual([]);
    await console.at("disconnect").click();
    await console.at("save-text").waitFor();
    await look("over");
    await console.close();
  });
});

/** Lines of the app's own sources that are not blank. */
function ownLines(): number {
  const files = [join(APP, "index.html"), join(APP, "vite.config.ts")];
  for (const name of readdirSync(join(APP, "src"))) files.push(join(APP, "src", name));
  return files.flatMap((file) => readFileSync(file, "utf8").split("\n")).filter(Boolean).length;
}

test("examples/react-app, built, talks to a running server", async () => {
  expect(ownLines()).toBeLessThanOrEqual(APP_LINES);
  const vite = join(ROOT, "node_modules/.bin/vite");
  const env = { ...process.env, VOXWIRE_SERVER: server.url };
  await promisify(execFile)(vite, ["build", "--logLevel", "warn"], { cwd: APP, env });
  const preview = spawn(vite, ["preview", "--port", "0", "--host", "127.0.0.1"], { cwd: APP, env });
  try {
    const url = await new Promise<string>((resolve, reject) => {
      let said = "";
      preview.on("exit", (code) => reject(new Error(`vite preview ended with ${code}`)));
      preview.stdout.on("data", (data: Buffer) => {
        said += data
          .toString()
          .replaceAll("\u001b", "")
          .replaceAll(/\[\d+m/g, "");
        const found = /http:\/\/127\.0\.0\.1:\d+(?=\D)/.exec(said)?.[0];
        if (found) resolve(found);
      });
    });
    const page = await browser.newPage();
    const troubles: string[] = [];
    page.on("pageerror", (error) => troubles.push(String(error)));
    await page.goto(url);
    await page.getByTestId("connect").click();
    const input = page.getByRole("textbox");
    await input.fill("say 4");
    await input.press("Enter");
    await page.getByText("w3.").waitFor({ timeout: 90_000 });
    expect(troubles).toEqual([]);
    await page.close();
  } finally {
    preview.kill("SIGTERM");
  }
});
