/** Pages of Pipecat's own clients whose bot tells its story, and is cut. */
import type { Browser } from "playwright-core";
import type { Transport, Way } from "../../stock/page/api.js";
import { FAKE_DEVICE, FAKE_USER, LOCALHOST, launch } from "./chromium.js";
import { type Cut, cutStory, type Errors, errorsOf } from "./heard.js";
import type { Runner } from "./runner.js";
import { Server } from "./server.js";
import type { Site } from "./site.js";
import { say } from "./stalls.js";
import { makeStockSite, POLICY, Stock } from "./stock.js";
import { Story } from "./story.js";

const SETTINGS = { voice_gap_ms: 60_000, dead_after_ms: 120_000, hello_timeout_ms: 60_000 };

export class HeardPages {
  private constructor(
    private readonly site: Site,
    private readonly server: Server,
    private readonly browser: Browser,
  ) {}

  /** Our server and a browser; with a runner pages may go to that, too. */
  static async open(runner?: Runner): Promise<HeardPages> {
    const site = await makeStockSite();
    const there = runner && `${runner.url} ws${runner.url.slice(4)}`;
    const policy = there ? `${POLICY}; connect-src 'self' ${there}` : POLICY;
    const options = { bot: "open", folder: site.folder, policy, texts: {} } as const;
    const server = await Server.start({ ...options, settings: SETTINGS });
    await server.ready();
    return new HeardPages(site, server, await launch([FAKE_DEVICE, FAKE_USER, LOCALHOST]));
  }

  /** Cuts the story of our bot, or of the runner's, at each of those moments. */
  async cut(transport: Transport, afterMs: readonly number[], runner?: Runner): Promise<Errors> {
    const stock = await Stock.open(this.browser, this.server.url, transport);
    await stock.connect(runner ? stockWay(transport, runner) : ourWay(this.server));
    await stock.types("hello", "help"); // in place of the greeting
    const story = Story.read(this.site.folder, await stock.run(() => window.stock.ear.rate));
    const cuts: Cut[] = [];
    for (let tries = 0; cuts.length < afterMs.length; tries += 1) {
      const cut = await cutStory(stock, story, afterMs[cuts.length] ?? 0);
      if (cut) cuts.push(cut);
      else if (tries > 2 * afterMs.length) throw new Error("the page plays nothing like the story");
    }
    const errors = errorsOf(cuts);
    say(`heard words, ${runner ? "stock Pipecat" : "ours"} over ${transport}: ${errors.text}`);
    await stock.run(() => window.stock.disconnect());
    await stock.close();
    return errors;
  }

  async close(): Promise<void> {
    await this.browser.close();
    await this.server.stop();
    this.site.remove();
  }
}

const ourWay = (server: Server): Way => ({ how: "start", endpoint: `${server.url}/start` });

const stockWay = (transport: Transport, runner: Runner): Way => ({
  how: "connect",
  endpoint:
    transport === "webrtc" ? `${runner.url}/api/offer` : `ws${runner.url.slice(4)}/ws-client`,
});
