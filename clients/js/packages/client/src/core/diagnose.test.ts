/** Each fault around a client is one failed check, and what is skipped for it says so. */
import { makeError, wire } from "@voxwire/protocol";
import { expect, test } from "vitest";
import type { Diagnosis } from "../api.js";
import { createClient } from "../create-client.js";
import { type FakeMedia, FakeServer, fakeMedia, VirtualTime } from "../testing/index.js";
import { ORDER } from "./diagnosis/checks.js";
import type { HttpAnswer } from "./http-answer.js";

interface World {
  readonly server: FakeServer;
  readonly media: FakeMedia;
  readonly clock: VirtualTime;
  answer: (url: string) => Promise<HttpAnswer>;
  url: string;
  timeoutMs: number;
  signal: AbortSignal | undefined;
  iceServers: RTCIceServer[] | undefined;
}

const OURS = { status: 200, body: `{"protocol": "${wire.SUBPROTOCOL}"}` };

/** What is found in a world with something broken; nothing is left of the search. */
async function examined(breakIt: (world: World) => void) {
  const clock = new VirtualTime();
  const server = new FakeServer({ clock });
  const media = fakeMedia({ clock, carriers: ["websocket"] });
  const nothing = () => Promise.reject(new Error("nothing answers"));
  const more = {
    answer: nothing,
    url: "ws://127.0.0.1:1",
    timeoutMs: 20_000,
    signal: undefined,
    iceServers: undefined,
  };
  const world: World = { server, media, clock, ...more };
  breakIt(world);
  const environment = { ...server.environment, ask: (url: string) => world.answer(url) };
  const { iceServers } = world;
  const client = createClient({ url: world.url, environment, media: () => media, iceServers });
  const { timeoutMs, signal } = world;
  const found = await clock.until(client.diagnose({ timeoutMs, signal }));
  await clock.advance(10);
  expect([clock.pending, server.network.open.size]).toEqual([0, 0]);
  expect(found.checks.map(({ name }) => name).sort()).toEqual([...ORDER].sort());
  expect(found.ok).toBe(found.checks.every(({ state }) => state !== "failed"));
  return found;
}

/** The one check that failed; the others name it where they are skipped for it. */
function theFault({ checks }: Diagnosis) {
  const failed = checks.filter(({ state }) => state === "failed");
  expect(failed.map(({ name }) => name)).toHaveLength(1);
  for (const { needs } of checks) expect([undefined, failed[0]?.name]).toContain(needs);
  expect(failed[0]?.advice).not.toBe("");
  return failed[0];
}

/** No WebSocket opens, and HTTP answers so. */
const http =
  (answer: HttpAnswer | ((url: string) => HttpAnswer), url = "wss://bot.test/voice") =>
  (world: World) => {
    world.server.network.state = "refused";
    world.url = url;
    world.answer = async (asked) => (typeof answer === "function" ? answer(asked) : answer);
  };
const refusal = (status: number, reason: string) => ({ status, body: JSON.stringify({ reason }) });

test("a server that works is found well, without what is not here", async () => {
  const { ok, checks } = await examined(() => {});
  expect(ok).toBe(true);
  const good = checks.flatMap(({ name, state }) => (state === "ok" ? [name] : []));
  expect(good).toEqual(["name", "server", "token", "capacity", "rtt", "session"]);
  expect(checks.find(({ name }) => name === "tls")?.detail).toMatch(/need not be on this machine/);
});

test.each([
  ["nothing answers", () => undefined, "server", /nothing|refused|not/i, /firewall/],
  ["a proxy drops the upgrade", http(OURS), "server", /opens no WebSocket/, /header Upgrade/],
  [
    "no server behind a proxy",
    http({ status: 502, body: "" }),
    "server",
    /HTTP 502/,
    /proxy's log/,
  ],
  [
    "another path",
    http((url) => (url === "https://bot.test/v1/session" ? OURS : { status: 404, body: "" })),
    "server",
    /no control channel is at \/voice/,
    /leave out \/voice: the server is at wss:\/\/bot\.test$/,
  ],
  [
    "a path that is missing",
    http({ status: 404, body: "" }, "wss://bot.test"),
    "server",
    /no control channel/,
    /add the path/,
  ],
  [
    "an origin that is not allowed",
    http(refusal(403, "the origin of this page is not allowed")),
    "server",
    /origin of this page/,
    /VOXWIRE_ALLOWED_ORIGINS/,
  ],
  [
    "a full server over HTTP",
    http(refusal(503, "the server is full")),
    "capacity",
    /full/,
    /^try again later; .*VOXWIRE_MAX_SESSIONS/,
  ],
] as const)("%s", async (_, breakIt, name, detail, advice) => {
  const found = await examined((world) => {
    world.server.network.state = "refused";
    breakIt(world);
  });
  expect(theFault(found)).toMatchObject({
    ...{ name, detail: expect.stringMatching(detail), advice: expect.stringMatching(advice) },
  });
});

test("a full server, one that leaves, and a token for another bot are told by what they say", async () => {
  const refused = async (code: FakeServer["refuse"], retryAfterMs = 0) =>
    theFault(
      await examined(({ server }) => {
        server.refuse = code;
        server.refusal = { retryable: true, retryAfterMs };
      }),
    );
  expect(await refused("capacity", 2000)).toMatchObject({
    ...{ name: "capacity", advice: expect.stringMatching(/^try again in 2 s; /) },
  });
  expect(await refused("going_away")).toMatchObject({ name: "capacity", code: "going_away" });
  expect(await refused("forbidden")).toMatchObject({
    ...{ name: "token", advice: expect.stringContaining("name the bot") },
  });
});

test.each([
  ["behind", 3600],
  ["ahead of", -3600],
])(
  "a clock that is %s the server's is the fault where a token is refused for it",
  async (side, s) => {
    const date = new Date(Date.now() + s * 1000).toUTCString();
    const off = (world: World) => {
      world.answer = async () => ({ ...OURS, date });
    };
    const spared = await examined(off);
    const told = spared.checks.find(({ name }) => name === "clock");
    expect([spared.ok, told?.state]).toEqual([true, "warning"]);
    expect(told?.detail).toContain(`clock is 3600 s ${side} the server's`);
    const found = await examined((world) => {
      off(world);
      world.server.tokens = [];
    });
    expect(theFault(found)).toMatchObject({ name: "clock", code: "unauthorized" });
  },
);

test("a session that the bot ends is the bot's fault", async () => {
  const found = await examined(({ clock, server }) => {
    // the socket, Hello and Welcome, the first ping
    clock.after(6 * server.network.latencyMs, () => server.session.end());
  });
  expect(theFault(found)).toMatchObject({
    ...{ name: "session", code: "invalid_state", advice: expect.stringContaining("have the bot") },
  });
});

test("a microphone that is refused is no fault of the network", async () => {
  const found = await examined(({ media }) => {
    media.checks = async () => ({
      microphone: () => Promise.reject(makeError("permission_denied", "the user refused it")),
      ask: async () => [],
      path() {
        throw makeError("unsupported", "no WebRTC");
      },
    });
  });
  expect(theFault(found)).toMatchObject({ name: "microphone", code: "permission_denied" });
});

test("a diagnosis ends in time and when it is called off, and says what it was at", async () => {
  const mute = ({ server }: World) => {
    server.mute = true;
  };
  const late = await examined((world) => {
    mute(world);
    world.timeoutMs = 3000;
  });
  expect(theFault(late)).toMatchObject({ name: "token", code: "timeout" });
  const slow = await examined(mute);
  expect(theFault(slow)).toMatchObject({ name: "token", durationMs: 5000 });
  const aborted = await examined((world) => {
    world.signal = AbortSignal.abort(makeError("timeout", "called off"));
  });
  expect(aborted.ok).toBe(false);
});

/** TURN is named, and asking for it never ends. */
function withSilentTurn(world: World) {
  world.url = "wss://bot.test";
  world.iceServers = [{ urls: "turn:t.test", username: "u", credential: "c" }];
  (world.media.carriers as string[]).unshift("webrtc");
  world.media.checks = async () => ({
    microphone: async () => "a microphone can be used",
    ask: () => new Promise(() => {}),
    path: () => ({
      offer: () => Promise.reject(makeError("unsupported", "no WebRTC")),
      ready: new Promise(() => {}),
      look: () => Promise.reject(makeError("internal", "nothing is up")),
      trouble: undefined,
      receive() {},
      close() {},
    }),
  });
}

test("a server that could not be asked in time is not said to be missing", async () => {
  const { checks } = await examined(withSilentTurn);
  const told = checks.flatMap(({ name, state, detail }) =>
    /^(stun|turn)/.test(name) ? [`${state}: ${detail}`] : [],
  );
  expect(told).toEqual(Array(4).fill("skipped: not tried"));
});

test("where time is over, what was being tried fails and nothing else", async () => {
  const found = await examined((world) => {
    withSilentTurn(world);
    world.timeoutMs = 3000;
  });
  const fault = theFault(found);
  expect(fault).toMatchObject({ name: "udp", code: "timeout" });
  for (const name of ["webrtc", "turn_udp", "echo", "microphone"]) {
    const check = found.checks.find((one) => one.name === name);
    expect(check).toMatchObject({ state: "skipped", detail: "no time was left" });
    expect(check?.needs).toBeUndefined();
  }
});

test("an error about something else is none of the path's", async () => {
  const closed: unknown[] = [];
  await examined((world) => {
    withSilentTurn(world);
    world.media.checks = async () => ({
      microphone: async () => "a microphone can be used",
      ask: async () => [],
      path: () => ({
        offer: async () => {
          world.server.session.error("unsupported", "no such request", { subjectId: "r7" });
          world.server.session.error("unsupported", "no WebRTC here", { subjectId: "1" });
          return wire.create(wire.PathOpenSchema, { pathId: 1 });
        },
        ready: new Promise(() => {}),
        look: () => Promise.reject(makeError("internal", "nothing is up")),
        trouble: undefined,
        receive: ({ case: kind, value }) => kind === "pathClose" && closed.push(value.reason),
        close() {},
      }),
    });
  });
  expect(closed.filter((reason) => reason !== "")).toEqual(["no WebRTC here"]);
});
