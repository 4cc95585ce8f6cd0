/** The console in Chromium: opened with ears, read through its `data-testid`s. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Browser, Locator, Page } from "playwright-core";
import { expect } from "vitest";
import { HERE } from "../e2e/folders.js";
import { grow } from "./ears.js";

/** What the server has to show below /page/: worklets are not to be had any other way. */
export const FOLDER = join(HERE, "../page");
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const UNTIL_MS = 90_000;

export type Transport = "websocket" | "webrtc";
export const TRANSPORTS = ["websocket", "webrtc"] as const;

export interface Word {
  readonly text: string;
  readonly state: string;
}

export interface Look {
  readonly width?: number;
  readonly height?: number;
  readonly scheme?: "light" | "dark";
  /** Nothing is animated: drawing costs nothing. */
  readonly still?: boolean;
}

export class Console {
  /** Errors of page, console and React; what the browser says of a network that was cut is none. */
  readonly troubles: string[] = [];
  readonly foreign: string[] = [];

  private constructor(readonly page: Page) {}

  static async open(browser: Browser, url: string, look: Look = {}): Promise<Console> {
    const { width = 1360, height = 860, scheme = "light", still = false } = look;
    const viewport = { width, height };
    const reducedMotion = still ? "reduce" : "no-preference";
    const page = await browser.newPage({ viewport, colorScheme: scheme, reducedMotion });
    const self = new Console(page);
    await self.#watch(new URL(url).host);
    await page.goto(url);
    await self.at("connect").waitFor();
    return self;
  }

  at(testId: string): Locator {
    return this.page.getByTestId(testId);
  }

  /** Connects over a transport that is chosen in the page. */
  async connect(transport: Transport): Promise<void> {
    const name = { websocket: "WebSocket", webrtc: "WebRTC" }[transport];
    await this.page.getByText(name, { exact: true }).click();
    await this.at("connect").click();
    await this.at("disconnect").waitFor({ timeout: UNTIL_MS });
    await this.page
      .locator(`[data-testid="transport"][data-transport="${transport}"]`)
      .waitFor({ timeout: UNTIL_MS });
  }

  async say(text: string): Promise<void> {
    await this.at("text-input").fill(text);
    await this.at("text-input").press("Enter");
  }

  async state(...keys: string[]): Promise<void> {
    const any = keys.map((key) => `[data-testid="state"][data-state="${key}"]`).join(", ");
    await this.page.locator(any).waitFor({ timeout: UNTIL_MS });
  }

  /** Words of the bot's turn at a place among its turns, from the end if negative. */
  words(turn: number): Promise<Word[]> {
    return this.page.evaluate((turn) => {
      const [one] = [...document.querySelectorAll('.turn[data-role="bot"]')].slice(turn);
      return [...(one?.querySelectorAll<HTMLElement>('[data-testid="word"]') ?? [])].map(
        ({ textContent, dataset }) => ({ text: textContent ?? "", state: dataset.state ?? "" }),
      );
    }, turn);
  }

  turns(role: "bot" | "user"): Locator {
    return this.page.locator(`.turn[data-role="${role}"]`);
  }

  /** Waits until something is so in the page. */
  async until<T>(what: string, test: (argument: T) => unknown, argument?: T): Promise<void> {
    const options = { timeout: UNTIL_MS, polling: 25 };
    try {
      await this.page.waitForFunction(test as () => unknown, argument, options);
    } catch (cause) {
      const shown = await this.at("captions").innerText().catch(String);
      throw new Error(`never: ${what}; the page shows\n${shown}`, { cause });
    }
  }

  /** Until at least so many words of the last turn have a state. */
  async lit(count: number, state = "heard"): Promise<void> {
    const test = ([count, state]: readonly [number, string]) => {
      const turn = [...document.querySelectorAll('.turn[data-role="bot"]')].at(-1);
      return (turn?.querySelectorAll(`.word[data-state="${state}"]`).length ?? 0) >= count;
    };
    await this.until(`${count} words ${state}`, test, [count, state] as const);
  }

  /** Until so many words of the last turn are shown, whatever became of them. */
  async shown(count: number): Promise<void> {
    const test = (count: number) => {
      const turn = [...document.querySelectorAll('.turn[data-role="bot"]')].at(-1);
      return (turn?.querySelectorAll(".word").length ?? 0) >= count;
    };
    await this.until(`${count} words`, test, count);
  }

  ears() {
    return this.page.evaluate(() => {
      const { heard, spoken, behind, words, shifts, violations } = window.ears;
      return { heard, spoken, behind, words, shifts, violations };
    });
  }

  /** What the page holds of microphone, sound and network. */
  held() {
    return this.page.evaluate(() => ({
      tracks: window.ears.tracks.filter(({ readyState }) => readyState === "live").length,
      contexts: [...window.ears.contexts].filter(({ state }) => state !== "closed").length,
      connections: window.ears.connections.filter(
        ({ connectionState }) => connectionState !== "closed",
      ).length,
    }));
  }

  /** What axe calls serious or critical. */
  async violations(): Promise<string[]> {
    await this.page.evaluate(AXE); // beside the page's policy, which forbids a script tag
    return this.page.evaluate(async () => {
      const { axe } = window as unknown as { axe: typeof import("axe-core") };
      const { violations } = await axe.run(document);
      return violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`);
    });
  }

  /** Ends the session if there is one; nothing is held, nothing went wrong. */
  async close(): Promise<void> {
    if (await this.at("disconnect").isVisible()) await this.at("disconnect").click();
    await this.at("connect").waitFor();
    const nothing = { tracks: 0, contexts: 0, connections: 0 };
    await expect.poll(() => this.held(), { timeout: 60_000 }).toEqual(nothing);
    await this.quiet();
    await this.page.close();
  }

  /** No error, no foreign request, nothing that the policy forbade. */
  async quiet(): Promise<void> {
    const { violations } = await this.ears();
    expect({ troubles: this.troubles, foreign: this.foreign, violations }).toEqual({
      troubles: [],
      foreign: [],
      violations: [],
    });
  }

  async #watch(host: string): Promise<void> {
    const { page, troubles, foreign } = this;
    page.on("pageerror", (error) => troubles.push(String(error)));
    page.on("console", (line) => {
      const { url } = line.location();
      const network = /^WebSocket connection to 'ws:\/\/127\.0\.0\.1/.test(line.text());
      const own = url.endsWith("/favicon.svg"); // the browser asks when it has time, cut or not
      if (line.type() === "error" && !network && !own) troubles.push(`${line.text()} ${url}`);
    });
    await page.route("**/*", (route) => {
      const asked = new URL(route.request().url());
      if (asked.host !== host) foreign.push(asked.href);
      return asked.host === host ? route.continue() : route.abort();
    });
    page.on("websocket", (socket) => {
      if (new URL(socket.url()).host !== host) foreign.push(socket.url());
    });
    await page.addInitScript(grow);
  }
}
