/** Pages with Pipecat's own clients (`clients/js/test/stock`), whose every trouble is known. */
import { cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import type { Browser, Page } from "playwright-core";
import { expect } from "vitest";
import type { StockPage, Transport, Way } from "../../stock/page/api.js";
import { JS } from "./folders.js";
import type { Server } from "./server.js";
import type { Site } from "./site.js";

const STOCK = join(JS, "test/stock");
const UNTIL_MS = 90_000;

/** Setup installs Pipecat's packages; where they cannot be had their tests are left out. */
export const INSTALLED = existsSync(join(STOCK, "node_modules/@pipecat-ai/client-js"));

/** What a page of theirs may do: their worklets are blobs. */
export const POLICY = "default-src 'self'; script-src 'self' blob:; img-src data:";

/** What the packages write as errors though nothing of ours is at fault, and why. */
const EXPLAINED: readonly (readonly [RegExp, string])[] = [
  [
    /Failed to deserialize incoming message.*Unknown frame kind/s,
    "websocket-transport's copy of frames.proto has no InterruptionFrame, which stock servers send",
  ],
  [
    /Fatal error reported\. Disconnecting/,
    "websocket-transport takes every socket that the bot closes for a fatal error",
  ],
];

/** The folder that a server shows: the page, and its ear. */
export async function makeStockSite(): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), "voxwire-stock-"));
  for (const name of ["index.html", "ear.worklet.js"]) {
    cpSync(join(STOCK, "page", name), join(folder, name));
  }
  await build({
    ...{ bundle: true, format: "esm", target: "es2022", logLevel: "warning" },
    entryPoints: [join(STOCK, "page/page.ts")],
    outfile: join(folder, "page.js"),
  });
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** A page with one client of Pipecat's. */
export class Stock {
  readonly troubles: string[] = [];

  private constructor(
    readonly page: Page,
    readonly transport: Transport,
  ) {
    page.on("pageerror", (error) => this.troubles.push(`thrown: ${error.message}`));
    page.on("console", (message) => {
      if (message.type() === "error") this.#note(message.text());
    });
    page.on("response", (answer) => {
      if (answer.status() >= 400) this.troubles.push(`${answer.status()} ${answer.url()}`);
    });
  }

  static async open(browser: Browser, site: string, transport: Transport): Promise<Stock> {
    const stock = new Stock(await browser.newPage(), transport);
    await stock.page.goto(`${site}/page/`);
    await stock.page.waitForFunction(() => window.stock !== undefined);
    return stock;
  }

  /** Connects; resolves when the bot is ready. */
  connect(way: Way): Promise<void> {
    const { transport } = this;
    return this.run(({ transport, way }) => window.stock.open(transport, way), { transport, way });
  }

  run<A, R>(work: (given: A) => R | Promise<R>, given?: A): Promise<R> {
    return this.page.evaluate(work as never, given as never) as Promise<R>;
  }

  /** Waits until something is true in the page. */
  async until<A>(what: string, test: (given: A) => unknown, given?: A): Promise<void> {
    try {
      const options = { timeout: UNTIL_MS, polling: 20 };
      await this.page.waitForFunction(test as () => unknown, given as never, options);
    } catch (cause) {
      const last = await this.run(() =>
        window.stock.events.filter(({ type }) => type !== "onMetrics").slice(-12),
      );
      const seen = JSON.stringify({ last, troubles: this.troubles });
      throw new Error(`never: ${what} (${this.transport}): ${seen}`, { cause });
    }
  }

  /** The data of every callback of one type. */
  of(type: string): Promise<ReturnType<StockPage["of"]>> {
    return this.run((type) => window.stock.of(type), type);
  }

  /** How many callbacks there were so far. */
  mark(): Promise<number> {
    return this.run(() => window.stock.events.length);
  }

  /** Waits for words of the bot as they sound, from that callback on. */
  speaks(text: string, from = 0): Promise<void> {
    return this.until(
      `the bot says ${text}`,
      ({ text, from }) => window.stock.spoken(from).includes(text),
      { text, from },
    );
  }

  /** Waits until a text that was typed is answered without a sound. */
  async types(text: string, answer: string): Promise<void> {
    const from = await this.mark();
    await this.run((text) => window.stock.sendText(text, { audio_response: false }), text);
    await this.until(
      `${text} is answered`,
      ({ answer, from }) => {
        const told = window.stock.events.slice(from).filter(({ type }) => type === "onBotOutput");
        return told.some(({ data }) => !data.will_be_spoken && data.text.includes(answer));
      },
      { answer, from },
    );
  }

  /** Nothing was thrown, refused, or written as an error that is not explained. */
  async close(): Promise<void> {
    expect(this.troubles).toEqual([]);
    await this.page.close();
  }

  #note(text: string): void {
    if (!EXPLAINED.some(([known]) => known.test(text))) this.troubles.push(`console: ${text}`);
  }
}

/** How many sessions a server has. */
export async function sessionsOf(server: Server): Promise<number> {
  return (await (await fetch(`${server.url}/readyz`)).json()).sessions;
}

/** No session is left on a server. */
export async function nobodyIsThere(server: Server): Promise<void> {
  await expect.poll(() => sessionsOf(server), { timeout: 30_000 }).toBe(0);
}
