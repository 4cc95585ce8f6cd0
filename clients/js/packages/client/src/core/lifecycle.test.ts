/** Every act in every state under every fault: nothing hangs, nothing is unhandled, nothing is
 * left. In virtual time; the matrix is printed. */
import { makeError, wire } from "@voxwire/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Client } from "../api.js";
import { createClient } from "../create-client.js";
import { type FakeMedia, FakeServer, fakeMedia, VirtualTime } from "../testing/index.js";

const STATES = [
  "idle",
  "connecting: token",
  "connecting: server",
  "connecting: media",
  "ready",
  "reconnecting",
  "closing",
  "closed",
] as const;
const FAULTS = [
  "none",
  "server never ready",
  "ICE fails",
  "token refused",
  "socket dropped",
  "device missing",
  "device denied",
  "server killed",
] as const;
const ACTS = ["connect", "disconnect", "abort", "exception"] as const;
type State = (typeof STATES)[number];
type Fault = (typeof FAULTS)[number];
type Act = (typeof ACTS)[number];

interface Bench {
  readonly clock: VirtualTime;
  readonly server: FakeServer;
  readonly media: FakeMedia;
  readonly client: Client;
  readonly controller: AbortController;
  token: Promise<string>;
  connecting: Promise<string> | undefined;
}

/** A connect is given up after this, a lost session after 60 s, a disconnect after 2 s. */
const CONNECT_MS = 15_000;
const DISCONNECT_MS = 2000;

const unhandled: unknown[] = [];
const note = (error: unknown) => unhandled.push(error);
beforeAll(() => void process.on("unhandledRejection", note));
afterAll(() => void process.off("unhandledRejection", note));

function bench(): Bench {
  const clock = new VirtualTime();
  const server = new FakeServer({ clock, tokens: ["good"] });
  const media = fakeMedia({ clock });
  const it: Bench = {
    ...{ clock, server, media, token: Promise.resolve("good"), connecting: undefined },
    controller: new AbortController(),
    client: createClient({
      url: "/",
      tokenSource: () => it.token,
      environment: server.environment,
      media: () => media,
    }),
  };
  return it;
}

function connect(it: Bench): Promise<string> {
  return it.client.connect({ signal: it.controller.signal }).then(
    () => "ready",
    (error: { code?: string; name?: string }) => error?.code ?? error?.name ?? String(error),
  );
}

/** Brings the client into a state. */
async function reach(it: Bench, state: State): Promise<void> {
  const { clock, server, client } = it;
  if (state === "idle") return;
  if (state === "connecting: token") it.token = new Promise(() => {});
  if (state === "connecting: server") server.mute = true;
  if (state === "connecting: media") {
    server.deafTo.add(wire.Carrier.WEBRTC).add(wire.Carrier.WEBSOCKET);
  }
  it.connecting = connect(it);
  await clock.advance(50);
  if (state === "reconnecting") {
    server.network.state = "refused";
    server.network.cut();
    await clock.advance(10);
  }
  if (state === "closing") {
    server.network.state = "dark";
    void client.disconnect();
  }
  if (state === "closed") await clock.until(client.disconnect());
  const { status, ...rest } = client.status.get() as { status: string; stage?: string };
  const shown = "stage" in rest && status === "connecting" ? `${status}: ${rest.stage}` : status;
  expect(shown).toBe(state);
}

function inject(it: Bench, fault: Fault): void {
  const { server, media } = it;
  const denied = makeError("permission_denied", "the user refused the microphone");
  const missing = makeError("device", "there is no microphone");
  switch (fault) {
    case "server never ready":
      server.deafTo.add(wire.Carrier.WEBRTC).add(wire.Carrier.WEBSOCKET);
      return;
    case "ICE fails":
      media.failing.set("webrtc", makeError("ice_failed", "no pair"));
      media.current?.lose();
      return;
    case "token refused":
      server.tokens = [];
      server.refuse = "unauthorized";
      return;
    case "socket dropped":
      server.network.cut();
      return;
    case "device missing":
    case "device denied":
      media.onStart = () => {
        throw fault === "device denied" ? denied : missing;
      };
      media.setDevice("microphone", { state: "error", reason: "denied" });
      return;
    case "server killed":
      server.kill();
  }
}

function act(it: Bench, what: Act): Promise<unknown> | undefined {
  if (what === "connect") return connect(it);
  if (what === "disconnect") return it.client.disconnect();
  if (what === "abort") it.controller.abort(new Error("the page went away"));
  if (what === "exception") {
    const types = ["status", "connectionChanged", "error", "sessionStarted", "devices"] as const;
    for (const type of types) {
      it.client.on(type, () => {
        throw new TypeError("a bug of the page");
      });
    }
    it.client.tap(() => {
      throw new TypeError("a bug of the page");
    });
    it.client.status.subscribe(() => {
      throw new TypeError("a bug of the page");
    });
    it.client.sendText("hello").catch(() => {});
  }
  return undefined;
}

/** Runs one cell; returns how the client ended up, and throws when something is wrong. */
async function cell(state: State, fault: Fault, what: Act): Promise<string> {
  const it = bench();
  const { clock, server, media, client } = it;
  if (state === "idle" || state === "closed") inject(it, fault);
  if (state === "closed") {
    // The fault was there before the session, too: it is undone for getting there.
    server.tokens = ["good"];
    server.refuse = undefined;
    server.deafTo.clear();
    media.onStart = undefined;
    if (server.network.state === "refused") server.network.state = "up";
  }
  await reach(it, state);
  inject(it, fault);
  const acted = act(it, what);
  const settledAct = acted?.then(
    (value) => value,
    (error) => error,
  );
  if (state === "idle" && what !== "connect") it.connecting = connect(it);
  await clock.advance(CONNECT_MS + 500);
  for (const promise of [it.connecting, settledAct]) {
    if (promise) await clock.until(promise, 1); // nothing waits past its deadline
  }
  const { status } = client.status.get();
  const startMs = clock.now();
  await clock.until(client.disconnect(), DISCONNECT_MS + 10);
  expect(clock.now() - startMs).toBeLessThanOrEqual(DISCONNECT_MS);
  expect(["idle", "closed"]).toContain(client.status.get().status);
  server.network.state = "up";
  for (const session of server.sessions) session.release();
  await clock.advance(10);
  expect({
    timers: clock.pending,
    sockets: server.network.open.size,
    media: media.started,
    paths: media.paths.size,
  }).toEqual({ timers: 0, sockets: 0, media: 0, paths: 0 });
  return status;
}

test("the lifecycle matrix", { timeout: 60_000 }, async () => {
  const lines: string[] = [];
  const failures: string[] = [];
  let cells = 0;
  for (const fault of FAULTS) {
    for (const state of STATES) {
      const row: string[] = [];
      for (const what of ACTS) {
        cells += 1;
        try {
          row.push(`${what} → ${await cell(state, fault, what)}`);
        } catch (error) {
          row.push(`${what} → FAILED`);
          failures.push(`${fault} / ${state} / ${what}: ${(error as Error).message}`);
        }
      }
      lines.push(`${fault.padEnd(18)} ${state.padEnd(18)} ${row.join(", ")}`);
    }
  }
  process.stdout.write(`${lines.join("\n")}\n${cells} cells, ${failures.length} failed\n`);
  expect(failures).toEqual([]);
  expect(cells).toBe(STATES.length * FAULTS.length * ACTS.length);
  expect(unhandled).toEqual([]);
});
