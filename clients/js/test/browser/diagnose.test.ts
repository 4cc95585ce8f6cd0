/** `client.diagnose()` in Chromium: a set-up that works, and others that do not, each of which names
 * its own fault and no other. Server, proxy, coturn and browser are real. */
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server as HttpServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Diagnosis } from "../../packages/client/src/index.js";
import { FAKE_DEVICE, FAKE_USER, launch, openPage } from "./e2e/chromium.js";
import { Turn, type TurnUrls } from "./e2e/coturn.js";
import { Server } from "./e2e/server.js";
import { makeSite, type Site } from "./e2e/site.js";
import { say } from "./e2e/stalls.js";
import { noTrouble, nothingHeld } from "./e2e/talks.js";

type Check = Diagnosis["checks"][number];
type Checks = ReadonlyMap<Check["name"], Check>;

const KEY = "an operator's secret of more than 32 characters";
const SECRET = "shared with coturn";
/** A test's coturn has a certificate that nobody has signed whom a browser knows. */
const ANY_CERTIFICATE = "--ignore-certificate-errors";
const NO_UDP = "--webrtc-ip-handling-policy=disable_non_proxied_udp";
const EVERYTHING = [
  ...["secure_origin", "name", "server", "clock", "token", "capacity", "rtt", "webrtc", "stun"],
  ...["turn_udp", "turn_tcp", "turn_tls", "udp", "echo", "session", "microphone"],
];
const RELAYS = ["turn_udp", "turn_tcp", "turn_tls"];

let folder: string;
let site: Site;
let turn: Turn;
let server: Server;
let browser: Browser;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "voxwire-turn-"));
  [site, turn] = await Promise.all([makeSite(), Turn.start(folder, SECRET)]);
  browser = await launch([FAKE_DEVICE, FAKE_USER, ANY_CERTIFICATE]);
  server = await start({});
});

afterAll(async () => {
  await browser?.close();
  await Promise.all([server?.stop(), turn?.stop()]);
  site?.remove();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

/** The set-up, with some settings of the server others. */
async function start(settings: object, at: TurnUrls = turn.here): Promise<Server> {
  const ice = {
    turn_urls: at.turn.join(","),
    turn_secret: SECRET,
    ice_servers: JSON.stringify([{ urls: at.stun }]),
  };
  // a machine that is busy with other tests is no fault of the set-up
  const own = { key: KEY, ice_addresses: "127.0.0.1", max_lag_ms: 0 };
  const given = { ...own, ...ice, ...settings };
  const started = await (await Server.start({ folder: site.folder, settings: given })).ready();
  await warm(started);
  return started;
}

/** What the first session of a process loads takes seconds on a busy machine. */
async function warm(at: Server): Promise<void> {
  const page = await openPage(browser, at.url);
  await page.evaluate(
    async (token) => {
      const first = window.e2e.make("warm", { token, transport: "webrtc" }, false);
      await first.connect({ timeoutMs: 60_000 });
      await first.client.disconnect();
    },
    (await token(at).catch(() => "")) ?? "",
  );
  await page.close();
}

/** As `POST /v1/tokens` gives it. */
async function token(at = server): Promise<string> {
  const answer = await fetch(`${at.url}/v1/tokens`, {
    method: "POST",
    headers: { authorization: `Bearer ${KEY}`, "content-type": "application/json" },
    body: JSON.stringify({ user: "ada" }),
  });
  return ((await answer.json()) as { token: string }).token;
}

/** A token that was good until some seconds ago: the claims of a good one, dated back. */
function aged(good: string, seconds: number): string {
  const [head = "", body = ""] = good.split(".");
  const claims = JSON.parse(Buffer.from(body, "base64url").toString()) as Record<string, unknown>;
  for (const name of ["iat", "nbf", "exp"]) {
    if (typeof claims[name] === "number") claims[name] = claims[name] - seconds;
  }
  const payload = Buffer.from(JSON.stringify(claims)).toString("base64url");
  const signature = createHmac("sha256", KEY).update(`${head}.${payload}`).digest("base64url");
  return `${head}.${payload}.${signature}`;
}

async function examine(options: object, { url = server.url, inside = browser } = {}) {
  const page = await openPage(inside, url);
  const { ok, checks } = await page.evaluate(async (options) => {
    const { client } = window.e2e.make("ill", options, false);
    return client.diagnose();
  }, options);
  for (const { name, state, detail, advice } of checks) {
    if (process.env.DETAIL) say(`${name} ${state}: ${detail}${advice && ` -> ${advice}`}`);
  }
  await nothingHeld(page);
  await noTrouble(page);
  await page.close();
  expect(ok).toBe(checks.every(({ state }) => state !== "failed"));
  expect(new Set(checks.map(({ name }) => name)).size).toBe(checks.length);
  return new Map(checks.map((check) => [check.name, check]));
}

/** The one check that failed; those that are skipped for it say so. */
function theFault(checks: Checks): Check {
  const bad = [...checks.values()].filter(({ state }) => state === "failed");
  expect(bad).toHaveLength(1);
  const [fault] = bad as [Check];
  expect(fault.advice).not.toBe("");
  for (const { state, needs } of checks.values()) {
    if (needs) expect([state, needs]).toEqual(["skipped", fault.name]);
  }
  return fault;
}

/** The checks that went well; how fast the machine is counts for nothing. */
const good = (checks: Checks) =>
  [...checks.values()].flatMap(({ name, state }) =>
    state === "ok" || (state === "warning" && /^(rtt|echo)$/.test(name)) ? [name] : [],
  );
const without = (...names: readonly string[]) => EVERYTHING.filter((it) => !names.includes(it));

test("a set-up that works is all green", async () => {
  const checks = await examine({ token: await token() });
  expect(good(checks)).toEqual(EVERYTHING);
  expect(checks.get("turn_tls")?.detail).toMatch(/^turns:.* relays at 127\.0\.0\.1:\d+$/);
  expect(checks.get("echo")?.detail).toMatch(/lost 0\.0% down/);
  expect(checks.get("speaker")?.state).toBe("skipped");
});

test("a token that has expired", async () => {
  const checks = await examine({ token: aged(await token(), 3600) });
  expect(theFault(checks)).toMatchObject({ name: "token", code: "unauthorized" });
  expect(good(checks)).toEqual(["secure_origin", "name", "server", "clock", "microphone"]);
});

test("a wrong TURN secret", async () => {
  const wrong = await start({ turn_secret: "another secret" });
  const checks = await examine({ token: await token(wrong) }, { url: wrong.url });
  await wrong.stop();
  const fault = theFault(checks);
  expect(fault).toMatchObject({ name: "turn_udp", code: "turn_failed" });
  expect(fault.detail).toContain("refused the credentials (401");
  expect(fault.advice).toContain("static-auth-secret");
  expect(good(checks)).toEqual(without(...RELAYS));
});

test("TURN is down", async () => {
  const lonely = await start({}, turn.nowhere);
  const checks = await examine({ token: await token(lonely) }, { url: lonely.url });
  await lonely.stop();
  const fault = theFault(checks);
  expect(fault.name).toBe("turn_udp");
  expect(fault.detail).toContain("cannot be reached");
  expect(fault.advice).toContain("start the TURN server");
  expect(good(checks)).toEqual(without("stun", ...RELAYS));
});

/** Passes requests on, and no upgrade, as nginx does unless it is told otherwise. */
async function plainProxy(port: number): Promise<{ url: string; proxy: HttpServer }> {
  const proxy = createServer((asked, answer) => {
    const { method, url: path, headers } = asked;
    const onward = request({ port, host: "127.0.0.1", method, path, headers }, (said) => {
      answer.writeHead(said.statusCode ?? 502, said.headers);
      said.pipe(answer);
    });
    onward.on("error", () => answer.destroy());
    asked.pipe(onward);
  });
  // without a listener for it Node treats an upgrade as the request that it also is
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, proxy };
}

test("a proxy that passes no upgrade on", async () => {
  const { url, proxy } = await plainProxy(server.port);
  const checks = await examine({ token: await token() }, { url });
  proxy.closeAllConnections();
  proxy.close();
  const fault = theFault(checks);
  expect(fault.name).toBe("server");
  expect(fault.advice).toContain("proxy_set_header Upgrade");
  expect(good(checks)).toEqual(["secure_origin", "name", "clock", "microphone"]);
});

test("a server that is full", async () => {
  const small = await start({ max_sessions: 1 });
  const page = await openPage(browser, small.url);
  const given = { token: await token(small), transport: "websocket" };
  await page.evaluate(async (given) => {
    await window.e2e.make("first", given as object, false).connect();
  }, given);
  const checks = await examine({ token: await token(small) }, { url: small.url });
  await page.close();
  await small.stop();
  const fault = theFault(checks);
  expect(fault).toMatchObject({ name: "capacity", code: "capacity" });
  expect(fault.advice).toContain("VOXWIRE_MAX_SESSIONS");
  expect(good(checks)).toEqual(["secure_origin", "name", "server", "clock", "microphone"]);
});

test("UDP that is blocked", async () => {
  const inside = await launch([FAKE_DEVICE, FAKE_USER, ANY_CERTIFICATE, NO_UDP]);
  const checks = await examine({ token: await token() }, { inside });
  await inside.close();
  const fault = theFault(checks);
  expect(fault).toMatchObject({ name: "udp", code: "ice_failed" });
  expect(fault.advice).toContain("let UDP out of this network");
  expect(good(checks)).toEqual(without("stun", "turn_udp", "udp"));
  expect(checks.get("turn_tcp")?.state).toBe("ok");
});

test("the console finds the cause at a press", async () => {
  const open = await start({ key: "" });
  open.blockMedia(true);
  const page = await browser.newPage({ viewport: { width: 1100, height: 800 } });
  await page.goto(`${open.url}/?transport=webrtc`);
  await page.getByTestId("connect").click();
  await page.getByTestId("find-cause").click({ timeout: 60_000 });
  const causes = page.getByTestId("cause");
  await causes.first().waitFor({ timeout: 30_000 });
  const found = await causes.evaluateAll((all) =>
    all.map((one) => [one.getAttribute("data-check"), one.getAttribute("data-state")]),
  );
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
  await page.close();
  await open.stop();
  expect(found).toEqual([["udp", "failed"]]);
});
