/** Servers that send a client about, and moves that something comes in the way of. */
import { closeCodeOf, errorToWire, makeError, wire } from "@voxwire/protocol";
import { expect, test } from "vitest";
import type { AnyEvent, ClientOptions } from "../api.js";
import { createClient } from "../create-client.js";
import { FakeServer, fakeMedia, VirtualTime } from "../testing/index.js";
import type { Environment } from "./environment.js";

const FIRST = "wss://a.test/v1/session";
const NEXT = "wss://b.test/v1/session";
const OTHER = "wss://c.test/v1/session";

type Own = (server: FakeServer, clock: VirtualTime) => Partial<Environment>;

function made(own: Own = () => ({}), options: Partial<ClientOptions> = {}) {
  const clock = new VirtualTime();
  const server = new FakeServer({ clock });
  const media = fakeMedia({ clock, carriers: ["websocket"] });
  const environment = { ...server.environment, ...own(server, clock) };
  const client = createClient({ url: FIRST, environment, media: () => media, ...options });
  const events: AnyEvent[] = [];
  const reading = (async () => {
    for await (const event of client.events()) events.push(event);
  })();
  const of = (type: string) => events.filter((one) => one.type === type).map((one) => one.event);
  const done = async () => {
    await clock.until(client.disconnect());
    await reading;
    expect([clock.pending, server.network.open.size]).toEqual([0, 0]);
  };
  return { clock, server, client, of, done, dialled: server.network.dialled };
}

async function up(own?: Own) {
  const it = made(own);
  await it.clock.until(it.client.connect());
  return it;
}

test("a first connect that is sent round in a ring asks with growing waits, and gives up", async () => {
  const { clock, server, client, dialled } = made();
  server.sentOn.set(FIRST, NEXT).set(NEXT, OTHER).set(OTHER, NEXT);
  const startMs = clock.now();
  const failed = client.connect({ timeoutMs: 15_000 }).catch((error) => error);
  await clock.advance(1000);
  expect(dialled.length).toBeLessThan(6);
  expect(await clock.until(failed)).toMatchObject({ code: "going_away" });
  expect(clock.now() - startMs).toBeLessThanOrEqual(15_010);
  expect(dialled.length).toBeLessThan(20);
  expect(clock.pending).toBe(0);
});

test("who is sent to where it is asks the first URL", async () => {
  const { clock, server, client, done, dialled } = await up();
  server.session.goAway({ resumeUrl: NEXT, timeLeftMs: 60_000 });
  await clock.advance(5);
  server.sentOn.set(NEXT, NEXT); // an owner that has not noticed that it lost the session
  server.network.cut();
  await clock.advance(100);
  expect([dialled, client.status.get().status]).toEqual([[FIRST, NEXT, FIRST], "ready"]);
  await done();
});

test("a URL that has only sent us on is not dead", async () => {
  const { clock, server, done, dialled } = await up();
  server.session.goAway({ resumeUrl: NEXT, timeLeftMs: 60_000 });
  await clock.advance(5);
  server.sentOn.set(NEXT, OTHER);
  server.network.cut();
  await clock.advance(500);
  expect(dialled).toEqual([FIRST, NEXT, OTHER]);
  server.session.goAway({ resumeUrl: NEXT });
  server.sentOn.clear();
  await clock.advance(500);
  expect(dialled.slice(3)).toEqual([NEXT]);
  await done();
});

test("a first connect that was sent on to a URL which sends it on does not take it for dead", async () => {
  const { clock, server, client, done, dialled } = made();
  server.sentOn.set(FIRST, NEXT).set(NEXT, OTHER);
  await clock.until(client.connect());
  expect(dialled).toEqual([FIRST, NEXT, OTHER]);
  server.session.goAway({ resumeUrl: NEXT });
  server.sentOn.clear();
  await clock.advance(500);
  expect(dialled.slice(3)).toEqual([NEXT]);
  await done();
});

test("a move that is told of a newer attach asks nobody else", async () => {
  const { clock, server, client, done, dialled } = await up();
  server.refuse = "superseded";
  server.session.goAway({ resumeUrl: NEXT });
  await clock.advance(2000);
  expect([dialled, client.status.get().status]).toEqual([[FIRST, NEXT], "ready"]);
  await done();
});

test("a first connect that is told so elsewhere is over", async () => {
  const { clock, server, client, dialled } = made();
  server.sentOn.set(FIRST, NEXT);
  server.refuse = "superseded";
  const failed = client.connect().catch((error) => error);
  expect(await clock.until(failed)).toMatchObject({ code: "superseded" });
  expect(dialled).toEqual([FIRST, NEXT]);
});

test("a move that is refused asks the first URL, and the next loss does so at once", async () => {
  const { clock, server, client, done, dialled } = await up();
  server.refuse = "session_expired";
  server.session.goAway({ resumeUrl: NEXT });
  await clock.advance(2000);
  expect(dialled).toEqual([FIRST, NEXT, FIRST]);
  server.refuse = undefined;
  server.network.cut();
  await clock.advance(100);
  expect([dialled.slice(3), client.status.get().status]).toEqual([[FIRST], "ready"]);
  await done();
});

test("a move goes on though the user begins to speak", async () => {
  const { clock, server, done, dialled } = await up();
  server.network.latencyMs = 300; // the dial takes that long
  server.session.goAway({ resumeUrl: NEXT, timeLeftMs: 8000 });
  for (let looks = 0; dialled.length < 2; looks++) {
    expect(looks).toBeLessThan(100);
    await clock.advance(50);
  }
  server.network.latencyMs = 1;
  server.session.state("IDLE", "SPEAKING");
  await clock.advance(1000);
  expect([dialled, server.hellos.length]).toEqual([[FIRST, NEXT], 2]);
  await done();
});

test("a GoAway that comes while a second socket is dialled is followed behind it", async () => {
  let [heldMs, opened] = [0, 0];
  const own: Own = (server, clock) => ({
    openSocket: async (url, protocol) => {
      opened += 1;
      await new Promise<void>((resolve) => void clock.after(heldMs, resolve));
      return server.environment.openSocket?.(url, protocol) as never;
    },
  });
  const { clock, server, client, done, dialled } = await up(own);
  [heldMs, server.network.latencyMs] = [4000, 2500];
  await client.sendText("late");
  server.network.latencyMs = 1;
  await clock.advance(1300);
  expect(opened).toBe(2); // not acknowledged for 1 s
  server.session.goAway({ resumeUrl: NEXT, timeLeftMs: 20_000 });
  await clock.advance(2000); // now it is
  heldMs = 0;
  expect(dialled).toEqual([FIRST]);
  await clock.advance(10_000);
  expect(dialled).toContain(NEXT);
  expect(server.hellos).toHaveLength(2); // none on what was dialled and not wanted any more
  await done();
});

test("behind a move messages that get stuck are noticed as soon as before", async () => {
  const { clock, server, client, done, dialled } = await up();
  server.session.goAway({ resumeUrl: NEXT });
  await clock.advance(500);
  expect(dialled).toEqual([FIRST, NEXT]);
  server.network.latencyMs = 3000;
  await client.sendText("late");
  server.network.latencyMs = 1;
  await clock.advance(1300);
  expect(dialled).toEqual([FIRST, NEXT, NEXT]);
  await clock.advance(3000);
  await done();
});

/** What comes on sockets to NEXT comes 60 ms later than what comes on others. */
const slowNext: Own = (server, clock) => ({
  openSocket: async (url, protocol) => {
    const socket = await (server.environment as Environment).openSocket(url, protocol);
    if (url !== NEXT) return socket;
    return new Proxy(socket, {
      get: (target, name) => {
        const value = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
      set: (target, name, value) => {
        const late = (event: unknown) => void clock.after(60, () => value(event));
        return Reflect.set(target, name, name === "onmessage" && value ? late : value);
      },
    });
  },
});

test("the Welcome is waited for that comes after the close which it causes", async () => {
  const { clock, server, client, of, done, dialled } = await up(slowNext);
  server.session.goAway({ resumeUrl: NEXT });
  await clock.advance(1000);
  expect(dialled).toEqual([FIRST, NEXT]);
  expect(of("connectionChanged")).toMatchObject([{ state: "connected", attempt: 0, epoch: 2 }]);
  expect(client.status.get().status).toBe("ready");
  await clock.until(client.disconnect());
  await clock.advance(100); // what was on its way
  await done();
});

test("and where it does not come the session is had back", async () => {
  const { clock, server, client, of, done, dialled } = await up(slowNext);
  server.session.goAway({ resumeUrl: NEXT });
  for (let ms = 0; server.hellos.length < 2; ms++) {
    expect(ms).toBeLessThan(1000);
    await clock.advance(1);
  }
  await clock.advance(5); // the first socket is closed
  server.network.stateOf.set(NEXT, "refused").set(FIRST, "refused");
  server.network.cut();
  await clock.advance(500);
  expect(client.status.get().status).toBe("reconnecting");
  server.network.stateOf.clear();
  await clock.advance(2000);
  expect(client.status.get().status).toBe("ready");
  expect(of("connectionChanged").at(-1)).toMatchObject({ state: "connected" });
  expect(dialled.slice(0, 3)).toEqual([FIRST, NEXT, FIRST]);
  await clock.until(client.disconnect());
  await clock.advance(100); // what was on its way
  await done();
});

test("a GoAway counts from when it comes, though there is no media path yet", async () => {
  const { clock, server, client, of, done, dialled } = made();
  server.readyMs.set(wire.Carrier.WEBSOCKET, 5000);
  const connecting = client.connect({ timeoutMs: 15_000 });
  await clock.advance(1000);
  server.session.goAway({ resumeUrl: NEXT, timeLeftMs: 3000 });
  await clock.advance(1600); // 1.5 s are left
  expect([dialled, client.status.get().status]).toEqual([[FIRST, NEXT], "connecting"]);
  await clock.until(connecting);
  expect(of("goingAway")).toHaveLength(1);
  await done();
});

test("a socket that its server closes to leave is lost like any other", async () => {
  const { clock, server, client, done, dialled } = await up();
  server.session.drop(4027);
  await clock.advance(1000);
  expect([dialled, client.status.get().status]).toEqual([[FIRST, FIRST], "ready"]);
  await done();
});

test("but a fatal error that says the same is the end, unless it says to resume", async () => {
  for (const [action, dials] of [
    ["none", 1],
    ["resume", 2],
  ] as const) {
    const { clock, server, client, dialled } = await up();
    const error = makeError("going_away", "an update", { action });
    server.session.send({ case: "error", value: errorToWire(error, { fatal: true }) });
    await clock.advance(10);
    server.session.drop(4027);
    await clock.advance(1000);
    expect([client.status.get().status, dialled.length]).toEqual([
      action === "resume" ? "ready" : "closed",
      dials,
    ]);
    await clock.until(client.disconnect());
  }
});

test("that of a session which was welcomed again since the GoAway, too", async () => {
  const { clock, server, client, done, dialled } = await up();
  server.network.stateOf.set(NEXT, "refused");
  server.session.goAway({ resumeUrl: NEXT, timeLeftMs: 6000 });
  await clock.advance(5000);
  expect(dialled).toEqual([FIRST, NEXT, FIRST]);
  server.session.drop(4027);
  await clock.advance(1000);
  expect(client.status.get().status).toBe("ready");
  await done();
});

test("but that of a session which nobody keeps is its end", async () => {
  const { clock, server, client } = made(undefined, { resume: false });
  await clock.until(client.connect());
  server.session.goAway();
  await clock.advance(10);
  server.session.drop(4027);
  await clock.advance(1000);
  expect(client.status.get()).toMatchObject({ status: "closed", error: { code: "going_away" } });
});

test("nor does a GoAway keep a session that its server ends for another reason", async () => {
  const { clock, server, client, dialled } = await up();
  server.session.goAway({ timeLeftMs: 30_000 });
  await clock.advance(10);
  server.session.drop(closeCodeOf("malformed"));
  await clock.advance(1000);
  expect(client.status.get()).toMatchObject({ status: "closed", error: { code: "malformed" } });
  expect(dialled).toEqual([FIRST]);
});

test("a Snapshot says whether the bot is idle", async () => {
  const { clock, server, done, dialled } = await up();
  const speaking = { bot: wire.BotState.SPEAKING, user: wire.UserState.SILENT };
  server.session.send({ case: "stateChanged", value: { ...speaking, mediaMs: 60_000n } });
  await clock.advance(10);
  server.forgetful = true;
  server.network.cut();
  await clock.advance(100);
  expect(dialled).toEqual([FIRST, FIRST]);
  server.session.goAway({ resumeUrl: NEXT, timeLeftMs: 30_000 });
  await clock.advance(7000);
  expect(dialled).toEqual([FIRST, FIRST, NEXT]);
  await done();
});

test("it is no quiet moment while the bot owes an answer", async () => {
  const { clock, server, client, done, dialled } = await up();
  const thinking = { bot: wire.BotState.THINKING, user: wire.UserState.SILENT };
  server.session.send({ case: "stateChanged", value: { ...thinking, mediaMs: 60_000n } });
  server.session.goAway({ resumeUrl: NEXT, timeLeftMs: 8000 });
  await clock.advance(4900);
  expect([client.activity.get().bot, dialled]).toEqual(["idle", [FIRST]]);
  await clock.advance(300);
  expect(dialled).toEqual([FIRST, NEXT]);
  await done();
});
