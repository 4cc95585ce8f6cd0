/** Production builds of Vite and of Next talk under a strict policy, over both transports. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FAKE_DEVICE, FAKE_USER, launch } from "./e2e/chromium.js";
import {
  CONSUMERS,
  INSTALLED,
  installPackages,
  makeApp,
  NextServer,
  run,
} from "./e2e/consumers.js";
import { ROOT } from "./e2e/folders.js";
import { Server } from "./e2e/server.js";
import { Wire } from "./e2e/wire.js";

const QUESTION = "what is the weather in paris tomorrow";
const wav = join(tmpdir(), `voxwire-consumers-${process.pid}.wav`);
const example = join(ROOT, "examples/next-app");
const KEY = "k".repeat(32);
let browser: Browser;

beforeAll(async () => {
  if (!INSTALLED) return;
  installPackages();
  browser = await launch([
    FAKE_DEVICE,
    FAKE_USER,
    `--use-file-for-fake-audio-capture=${wav}%noloop`,
  ]);
}, 200_000);
afterAll(() => browser?.close());

/** Asks the bot aloud on a page and hears the answer; fails at what the page or its policy says. */
async function talk(url: string, transport: "webrtc" | "websocket"): Promise<void> {
  const page = await browser.newPage();
  const trouble: string[] = [];
  page.on("pageerror", (error) => trouble.push(error.message));
  page.on("console", (line) => {
    const icon = line.location().url.endsWith("/favicon.ico");
    if (line.type() === "error" && !icon) trouble.push(line.text());
  });
  let sent = 0;
  page.on("websocket", (socket) => {
    socket.on("framesent", () => {
      sent += 1;
    });
  });
  if (transport === "websocket") {
    await page.addInitScript(() => Reflect.deleteProperty(window, "RTCPeerConnection"));
  }
  const answer = await page.goto(url);
  expect(answer?.headers()["content-security-policy"]).toMatch(/script-src 'self'( 'nonce-|$)/);
  await page.getByText("Talk", { exact: true }).click();
  const said = page.locator('p[data-role="user"][data-final="true"]').getByText(QUESTION);
  const alert = page.locator('p[role="alert"]'); // the page's own word for a failure
  await said.or(alert).first().waitFor();
  expect(await alert.allInnerTexts()).toEqual([]);
  const reply = page.locator('p[data-role="user"] + p[data-role="bot"]');
  await reply.locator('[data-testid="word"][data-state="heard"]').first().waitFor();
  await page.getByText("Hang up").click();
  await page.getByText("Talk", { exact: true }).waitFor();
  await expect.poll(() => page.locator('[data-state="unheard"]').count()).toBe(0);
  // audio goes over the WebSocket exactly when there is nothing else
  expect(sent > 100).toBe(transport === "websocket");
  expect(trouble).toEqual([]);
  await page.close();
}

describe.skipIf(!INSTALLED)("a production build of Vite, under script-src 'self'", () => {
  let server: Server;

  beforeAll(async () => {
    const app = makeApp("vite", join(CONSUMERS, "vite"));
    run("vite", ["build", "--base", "./", "--logLevel", "warn"], app);
    const folder = join(app, "dist");
    server = await Server.start({ bot: "offline", folder, wav: { path: wav, text: QUESTION } });
    await server.ready();
  }, 240_000);
  afterAll(() => server?.stop());

  test.each(["webrtc", "websocket"] as const)("is spoken to over %s", async (transport) => {
    await talk(`${server.url}/page/`, transport);
  });
});

describe.skipIf(!INSTALLED)("examples/next-app, built, under script-src 'self'", () => {
  /** Where Next passes the session on to; known before the server is. */
  const wire = new Wire();
  let next: NextServer;
  let server: Server;

  beforeAll(async () => {
    await wire.open();
    const env = { VOXWIRE_SERVER: `http://127.0.0.1:${wire.port}`, VOXWIRE_KEY: KEY };
    const app = makeApp("next", example, join(CONSUMERS, "next"));
    run("next", ["build"], app, env);
    next = await NextServer.start(app, env);
    server = await Server.start({
      bot: "offline",
      public_port: wire.port,
      wav: { path: wav, text: QUESTION },
      settings: { key: KEY, allowed_origins: next.url },
    });
    wire.target = server.port;
    await server.ready();
  }, 240_000);
  afterAll(async () => {
    await next?.stop();
    await server?.stop();
    wire.cut();
  });

  test.each(["webrtc", "websocket"] as const)("is spoken to over %s", async (transport) => {
    await talk(next.url, transport);
  });
});

test.skipIf(!INSTALLED)("no worklet is so small that an older Vite would inline it", () => {
  const folder = join(CONSUMERS, "node_modules/@voxwire/client/dist/worklets");
  const files = readdirSync(folder).filter((name) => name.endsWith(".worklet.js"));
  expect(files.sort()).toEqual(["capture.worklet.js", "playout.worklet.js"]);
  for (const name of files) expect(statSync(join(folder, name)).size).toBeGreaterThan(4096);
});

test("the example has at most 150 lines of its own", () => {
  const app = readdirSync(join(example, "app"), { recursive: true, encoding: "utf8" });
  const names = ["next.config.ts", ...app.filter((n) => n.includes(".")).map((n) => `app/${n}`)];
  const lines = names.flatMap((n) => readFileSync(join(example, n), "utf8").trimEnd().split("\n"));
  expect(lines.length).toBeLessThanOrEqual(150);
});
