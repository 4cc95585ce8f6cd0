/** What can go wrong around a page's client: everything settles, says why, and leaves nothing. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ClientOptions } from "../../packages/client/src/index.js";
import * as chromium from "./e2e/chromium.js";
import { launch, openPage } from "./e2e/chromium.js";
import type { Act } from "./e2e/page/page.js";
import { Server } from "./e2e/server.js";
import { makeSite, type Site } from "./e2e/site.js";
import { say } from "./e2e/stalls.js";
import { noTrouble, nothingHeld, of, snapshot, until } from "./e2e/talks.js";
import { type Mode, Wire } from "./e2e/wire.js";

const KEY = "the key of a server that lives for a minute";
/** Of a `connect` that has to end by its timeout, and of one that has to end before it. */
const SHORT_MS = 1500;
const LONG_MS = 45_000;
const AFTER_MS = 120;

const wire = new Wire();
let site: Site;
let server: Server;
const browsers: Browser[] = [];

async function startServer(): Promise<void> {
  server = await Server.start({
    folder: site.folder,
    public_port: wire.port,
    public_host: chromium.ELSEWHERE,
    settings: { key: KEY, ice_addresses: "127.0.0.1" },
  });
  wire.target = server.port;
  await server.ready();
}

beforeAll(async () => {
  site = await makeSite();
  await wire.open();
  await startServer();
});

afterAll(async () => {
  for (const browser of browsers) await browser.close();
  await server?.stop();
  wire.cut();
  site?.remove();
});

async function browserWith(...flags: string[]): Promise<Browser> {
  await Promise.all(browsers.splice(0).map((browser) => browser.close()));
  const browser = await launch(flags);
  browsers.push(browser);
  return browser;
}

/** A token, as the program's own backend gets it. */
async function token(): Promise<string> {
  const answer = await fetch(`${server.url}/v1/tokens`, {
    method: "POST",
    headers: { authorization: `Bearer ${KEY}`, "content-type": "application/json" },
    body: JSON.stringify({ user: "somebody" }),
  });
  return ((await answer.json()) as { token: string }).token;
}

interface Fault {
  readonly name: string;
  /** What `connect` rejects with; any of them. */
  readonly codes: readonly string[];
  readonly options?: Partial<ClientOptions>;
  readonly mode?: Mode | "refused" | "blocked";
}

const rows: string[] = [];

async function run(page: Page, { name, codes, options = {}, mode = "pass" }: Fault): Promise<void> {
  const cells: string[] = [];
  const reasons: string[] = [];
  for (const how of ["connect", "disconnect", "abort"] as const satisfies Act[]) {
    const given: object = { token: await token(), ...options };
    if (mode === "refused") wire.cut();
    else if (mode !== "blocked") wire.mode = mode;
    if (mode === "blocked") server.blockMedia(true);
    const timeoutMs = codes.includes("timeout") || mode === "refused" ? SHORT_MS : LONG_MS;
    const limits = { timeoutMs, afterMs: AFTER_MS };
    const { connect, parting, status } = await page.evaluate(
      ([how, given, limits]) => window.e2e.act(how, given as Partial<ClientOptions>, limits),
      [how, given, limits] as const satisfies readonly [Act, object, object],
    );
    if (mode === "refused") await wire.open();
    wire.mode = "pass";
    server.blockMedia(false);
    reasons.push(connect.reason ?? "");
    const why = connect.code ?? connect.name ?? "";
    cells.push(`${how}: ${connect.settled} ${why} ${connect.ms} ms, left in ${parting.ms} ms`);
    const where = `${name}, ${how}: ${connect.reason ?? ""}`;
    expect(parting, where).toMatchObject({ settled: "resolved" });
    expect(status, where).toBe("closed");
    expect(connect.settled, where).toBe("rejected");
    if (how === "connect") expect(codes, where).toContain(connect.code);
    else if (how === "disconnect")
      expect([...codes, "invalid_state"], where).toContain(connect.code);
    else expect([...codes, "AbortError"], where).toContain(why);
    await nothingHeld(page);
    await noTrouble(page);
  }
  if (process.env.DETAIL) say(`${name}: ${reasons.join("; ")}`);
  rows.push(`${name.padEnd(26)} ${cells.join("; ")}`);
}

const failed = (checks: readonly { name: string; state: string; detail: string }[]) =>
  Object.fromEntries(
    checks.filter(({ state }) => state === "failed").map((one) => [one.name, one.detail]),
  );

const diagnose = (page: Page, options: object) =>
  page.evaluate(async (options) => {
    const { client } = window.e2e.make("ill", options, false);
    return client.diagnose({ timeoutMs: 30_000 });
  }, options);

const WEBRTC = { transport: "webrtc" } as const;
const RELAY = { transport: "webrtc", icePolicy: "relay" } as const;
const FAULTS: Fault[] = [
  { name: "token refused", codes: ["unauthorized"], options: { token: "nonsense" } },
  { name: "server never answers", codes: ["timeout"], mode: "mute" },
  { name: "server never welcomes", codes: ["timeout"], mode: "handshake" },
  { name: "server not there", codes: ["unreachable", "connection_lost"], mode: "refused" },
  { name: "no TURN server", codes: ["turn_failed"], options: RELAY },
  { name: "ICE fails", codes: ["ice_failed", "timeout"], options: WEBRTC, mode: "blocked" },
];

describe("a page with a microphone", () => {
  let page: Page;
  beforeAll(async () => {
    const browser = await browserWith(chromium.FAKE_DEVICE, chromium.FAKE_USER);
    page = await openPage(browser, server.url);
  });

  test.each(FAULTS)("$name: connect, disconnect and abort settle", (fault) => run(page, fault));

  test("diagnose: nothing is wrong, a refused token, a server that is not there", async () => {
    const fine = await diagnose(page, { token: await token() });
    expect(failed(fine.checks)).toEqual({});
    expect(fine.ok).toBe(true);
    const refused = await diagnose(page, { token: "nonsense" });
    expect(Object.keys(failed(refused.checks))).toEqual(["token"]);
    wire.cut();
    const alone = await diagnose(page, { token: await token().catch(() => "none") });
    await wire.open();
    expect(Object.keys(failed(alone.checks))).toEqual(["server"]);
    await nothingHeld(page);
    await noTrouble(page);
  });

  test.each([
    ["the socket is lost", () => wire.cut(), () => wire.open()],
    ["ICE is lost", () => server.blockMedia(true), () => server.blockMedia(false)],
  ] as const)("%s, and the user leaves", async (name, begin, end) => {
    const given = { token: await token(), transport: "webrtc" } as const;
    await page.evaluate(async (given) => window.e2e.make("talk", given).connect(), given);
    begin();
    const broken = () => window.e2e.talk("talk").client.status.get().status === "reconnecting";
    await until(page, "reconnecting", broken);
    const parting = await page.evaluate(() =>
      window.e2e.outcome(window.e2e.talk("talk").client.disconnect()),
    );
    await end();
    rows.push(`${`up, ${name}`.padEnd(26)} disconnect: left in ${parting.ms} ms`);
    expect(parting.settled).toBe("resolved");
    await nothingHeld(page);
    await noTrouble(page);
  });

  test("a listener that throws, and a server that is killed while the session is up", async () => {
    const given = { token: await token(), resumeTimeoutMs: 1000 };
    await page.evaluate(async (given) => {
      const talk = window.e2e.make("talk", given);
      talk.client.on("stateChanged", () => {
        throw new TypeError("a listener of the page");
      });
      await talk.connect();
      await talk.client.sendText("say 20");
    }, given);
    await until(page, "the bot spoke", () => window.e2e.talk("talk").words() > 2);
    await server.kill();
    await until(page, "the end", () => {
      return window.e2e.talk("talk").client.status.get().status === "closed";
    });
    const { events } = await snapshot(page, "talk");
    await startServer();
    expect(of(events, "error").map(({ event }) => event.reason)).toContain(
      "a handler (stateChanged) threw TypeError",
    );
    const statuses = of(events, "status").map(({ event }) => event.status);
    expect(statuses).toContain("reconnecting");
    expect(of(events, "status").at(-1)?.event).toMatchObject({
      status: "closed",
      reason: "expired",
      error: { message: expect.stringMatching(/^session_expired: /) },
    });
    await nothingHeld(page);
    await noTrouble(page);
  });
});

test("a page whose origin is not allowed is told so, by connect and by diagnose", async () => {
  const browser = await browserWith(chromium.NAMED);
  const page = await openPage(browser, `http://${chromium.STRANGER}:${wire.port}`);
  const { code, reason } = await page.evaluate(async () => {
    const { client } = window.e2e.make("stranger", { media: false }, false);
    return window.e2e.outcome(client.connect());
  });
  expect(code).toBe("forbidden");
  expect(reason).toContain("VOXWIRE_ALLOWED_ORIGINS");
  const { checks } = await diagnose(page, { media: false });
  expect(failed(checks).server).toContain("VOXWIRE_ALLOWED_ORIGINS");
  await noTrouble(page);
});

test("UDP is blocked: WebSocket audio", async () => {
  const browser = await browserWith(chromium.FAKE_DEVICE, chromium.FAKE_USER);
  server.blockMedia(true);
  const page = await openPage(browser, server.url);
  const ms = await page.evaluate(
    async (token) => {
      const beganMs = performance.now();
      const talk = window.e2e.make("talk", { token });
      await talk.connect();
      await talk.client.sendText("say 3");
      return performance.now() - beganMs;
    },
    await token(),
  );
  await until(page, "words were heard", () => window.e2e.talk("talk").words() === 3);
  const { events } = await snapshot(page, "talk");
  say(`without UDP: audio over WebSocket after ${ms.toFixed(0)} ms`);
  expect(of(events, "pathChanged").map(({ event }) => event.carrier)).toEqual(["websocket"]);
  await page.evaluate(() => window.e2e.talk("talk").client.disconnect());
  server.blockMedia(false);
  await nothingHeld(page);
  await noTrouble(page);
});

test("no microphone, and one that the user refuses", async () => {
  const without = await openPage(await browserWith(), server.url);
  await run(without, { name: "device missing", codes: ["device"] });
  const browser = await browserWith(chromium.FAKE_DEVICE);
  const denied = await openPage(browser, server.url);
  const devtools = await browser.newBrowserCDPSession();
  const permission = { name: "microphone" };
  await devtools.send("Browser.setPermission", { permission, setting: "denied" });
  await run(denied, { name: "device denied", codes: ["permission_denied"] });
  const { checks } = await diagnose(denied, { token: await token() });
  expect(failed(checks).microphone).toMatch(/denied/);
});

test("an insecure origin is named as the reason for a missing microphone", async () => {
  const flags = [chromium.FAKE_DEVICE, chromium.FAKE_USER, chromium.NAMED];
  const url = server.url.replace("127.0.0.1", chromium.ELSEWHERE);
  const page = await openPage(await browserWith(...flags), url);
  await run(page, { name: "insecure origin", codes: ["device"] });
  const { checks } = await diagnose(page, { token: await token() });
  expect(failed(checks).secure_origin).toMatch(/insecure_origin/);
  // in writing it works all the same
  const given = { token: await token(), media: false } as const;
  await page.evaluate(async (given) => {
    const talk = window.e2e.make("talk", given, false);
    await talk.connect();
    await talk.client.sendText("echo <script>pwn()</script> there", { speak: false });
  }, given);
  await until(page, "an answer", () => {
    return window.e2e.talk("talk").events.some(({ type }) => type === "botResponseStarted");
  });
  expect(await page.evaluate(() => document.querySelectorAll("#log *:not(li)").length)).toBe(0);
  await page.evaluate(() => window.e2e.talk("talk").client.disconnect());
  await noTrouble(page);
});

afterAll(() => {
  for (const row of rows) say(row);
});
