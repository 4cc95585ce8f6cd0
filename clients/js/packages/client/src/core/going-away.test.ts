/** What a client does when its server leaves: GoAway, dead addresses, a first connect refused. */
import { wire } from "@voxwire/protocol";
import { describe, expect, test } from "vitest";
import type { AnyEvent, ClientOptions } from "../api.js";
import { createClient } from "../create-client.js";
import { FakeServer, fakeMedia, type ScriptedBot, VirtualTime } from "../testing/index.js";

const FIRST = "wss://a.test/v1/session";
const NEXT = "wss://b.test/v1/session";
const OTHER = "wss://c.test/v1/session";

function made(bot: ScriptedBot = {}, options: Partial<ClientOptions> = {}, own: object = {}) {
  const clock = new VirtualTime();
  const server = new FakeServer({ clock, bot });
  const media = fakeMedia({ clock, carriers: ["websocket"] });
  const environment = { ...server.environment, ...own };
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

async function up(bot: ScriptedBot = {}, options: Partial<ClientOptions> = {}) {
  const it = made(bot, options);
  await it.clock.until(it.client.connect());
  return it;
}

describe("a GoAway that names a place", () => {
  test("is followed at a quiet moment, on a second socket, and nothing is lost", async () => {
    const texts: string[] = [];
    const it = await up({ onText: (text) => void texts.push(text) });
    const { clock, server, client, of, done, dialled } = it;
    server.session.goAway({ resumeUrl: NEXT, timeLeftMs: 30_000 });
    await clock.advance(6500); // jitter 0.5 of the first half of 27 s
    expect(dialled).toEqual([FIRST]);
    const statuses: string[] = [];
    client.status.subscribe(() => statuses.push(client.status.get().status));
    await client.sendText("before");
    await clock.advance(500);
    await client.sendText("behind");
    await clock.advance(500);
    expect(dialled).toEqual([FIRST, NEXT]);
    expect(server.hellos[1]).toMatchObject({ sessionId: "s1", token: "" });
    expect(server.sessions).toHaveLength(1);
    expect(texts).toEqual(["before", "behind"]);
    expect(of("goingAway")).toMatchObject([{ timeLeftMs: 30_000 }]);
    expect(of("connectionChanged")).toMatchObject([{ state: "connected", attempt: 0, epoch: 2 }]);
    expect(statuses.filter((status) => status !== "ready" && status !== "reconnecting")).toEqual(
      [],
    );
    server.network.cut();
    await clock.advance(1000);
    expect(dialled).toEqual([FIRST, NEXT, NEXT]); // where it is welcomed now
    await done();
  });

  test("waits while the bot speaks, and no longer than there is time", async () => {
    const { clock, server, done, dialled } = await up();
    void server.session.say("one two three four five six seven", { wordMs: 1000 });
    await clock.advance(500);
    server.session.goAway({ resumeUrl: NEXT, timeLeftMs: 8000 });
    await clock.advance(4900);
    expect(dialled).toEqual([FIRST]);
    await clock.advance(300); // 3 s are left
    expect(dialled).toEqual([FIRST, NEXT]);
    await done();
  });

  test("waits while what the bot says is on its way to the speaker", async () => {
    const { clock, server, client, done, dialled } = await up();
    const state = { bot: wire.BotState.SPEAKING, user: wire.UserState.SILENT };
    server.session.send({ case: "stateChanged", value: { ...state, mediaMs: 60_000n } });
    server.session.goAway({ resumeUrl: NEXT, timeLeftMs: 8000 });
    await clock.advance(4900);
    expect([client.activity.get().bot, dialled]).toEqual(["idle", [FIRST]]);
    await clock.advance(300);
    expect(dialled).toEqual([FIRST, NEXT]);
    await done();
  });

  test("that is void by a newer one, which names none", async () => {
    const { clock, server, client, done, dialled } = await up();
    server.session.goAway({ resumeUrl: NEXT, timeLeftMs: 30_000 });
    server.session.goAway({ timeLeftMs: 30_000 });
    await clock.advance(29_000);
    expect(dialled).toEqual([FIRST]);
    server.session.drop(4027);
    await clock.advance(1000);
    expect([client.status.get().status, dialled]).toEqual(["ready", [FIRST, FIRST]]);
    await done();
  });

  test.each([
    ["is not encrypted", "ws://b.test/v1/session"],
    ["is this machine", "wss://localhost/v1/session"],
    ["has credentials", "wss://u:p@b.test/v1/session"],
  ])("that %s is not followed", async (_, resumeUrl) => {
    const { clock, server, done, dialled } = await up();
    server.session.goAway({ resumeUrl });
    server.network.cut();
    await clock.advance(1000);
    expect(dialled).toEqual([FIRST, FIRST]);
    await done();
  });

  test("is not followed without resume", async () => {
    const { clock, server, of, done, dialled } = await up({}, { resume: false });
    server.session.goAway({ resumeUrl: NEXT });
    await clock.advance(1000);
    expect([dialled, of("goingAway").length]).toEqual([[FIRST], 1]);
    await done();
  });

  test.each([["refused"], ["dark"]] as const)(
    "and is dead (%s) brings the first one back in 3 s",
    async (state) => {
      const { clock, server, client, of, done, dialled } = await up();
      server.network.stateOf.set(NEXT, state);
      server.session.goAway({ resumeUrl: NEXT, timeLeftMs: 60_000 });
      await clock.advance(1);
      server.network.cut();
      await clock.advance(3000);
      expect(client.status.get().status).toBe("ready");
      expect(dialled.at(-1)).toBe(FIRST);
      expect(of("connectionChanged")).toMatchObject([
        { state: "reconnecting", attempt: 1 },
        { state: "reconnecting", attempt: 2 },
        { state: "connected", attempt: 2 },
      ]);
      const [, ...again] = server.hellos;
      expect(again).toHaveLength(1);
      await done();
    },
  );

  test("and is dead is tried once while its server stays", async () => {
    const { clock, server, client, of, done, dialled } = await up();
    server.network.stateOf.set(NEXT, "refused").set(FIRST, "refused");
    server.session.goAway({ resumeUrl: NEXT });
    await clock.advance(5000);
    expect(dialled).toEqual([FIRST, NEXT, FIRST]);
    expect([client.status.get().status, of("connectionChanged")]).toEqual(["ready", []]);
    server.session.goAway({ resumeUrl: NEXT }); // known to be dead
    await clock.advance(5000);
    expect(dialled).toHaveLength(3);
    await done();
  });
});

test("the owner that a Welcome names may be dead: the first URL comes next, in 3 s", async () => {
  const { clock, server, client, done, dialled } = made();
  server.resumeUrl = NEXT;
  server.network.stateOf.set(NEXT, "dark");
  await clock.until(client.connect());
  server.network.cut();
  await clock.advance(1400);
  expect(client.status.get().status).toBe("reconnecting");
  await clock.advance(1600);
  expect([client.status.get().status, dialled.at(-1)]).toEqual(["ready", FIRST]);
  await done();
});

test("who is not known elsewhere asks the first URL; a refusal there is the end", async () => {
  const { clock, server, client, done, dialled } = await up();
  const stranger = "session_expired";
  server.session.goAway({ resumeUrl: NEXT, timeLeftMs: 60_000 });
  await clock.advance(1);
  server.refuse = stranger;
  server.network.cut();
  await clock.advance(20);
  expect(dialled).toEqual([FIRST, NEXT, FIRST]);
  expect(client.status.get()).toMatchObject({ status: "closed", error: { code: stranger } });
  await done();
});

test("a session that was taken over does not come back, after a GoAway either", async () => {
  const { clock, server, client, dialled } = await up();
  server.session.goAway({ timeLeftMs: 30_000 });
  server.session.error("superseded", "taken over");
  await clock.advance(10);
  server.session.drop(4025);
  await clock.advance(1000);
  expect(client.status.get()).toMatchObject({ status: "closed", error: { code: "superseded" } });
  expect(dialled).toEqual([FIRST]);
});

test("servers that send a client to each other are asked with growing waits", async () => {
  const { clock, server, client, done, dialled } = await up();
  server.sentOn.set(FIRST, NEXT).set(NEXT, FIRST);
  server.network.cut();
  await clock.advance(10_000);
  expect(client.status.get().status).toBe("reconnecting");
  expect(dialled.length).toBeLessThan(16);
  server.sentOn.delete(NEXT);
  await clock.advance(2500);
  expect([client.status.get().status, dialled.at(-1)]).toEqual(["ready", NEXT]);
  await done();
});

describe("a first connect", () => {
  test.each(["going_away", "capacity", "rate_limited"] as const)(
    "that is answered %s is asked again, after what it advises",
    async (code) => {
      const { clock, server, client, done } = made();
      server.refuse = code;
      server.refusal = { retryAfterMs: 3000 };
      const connecting = client.connect();
      await clock.advance(2900);
      expect(server.hellos).toHaveLength(1);
      expect(client.status.get()).toMatchObject({ status: "connecting", stage: "server" });
      server.refuse = undefined;
      await clock.until(connecting);
      expect(clock.now()).toBeGreaterThanOrEqual(4000);
      const [first, second, third] = server.hellos;
      expect(second?.attachNonce).toEqual(first?.attachNonce);
      expect([third, server.sessions.length]).toEqual([undefined, 1]);
      expect(server.said("pathOpen").map(({ pathId }) => pathId)).toEqual([1]);
      await done();
    },
  );

  test("has the server's word as its error when there is no time for another", async () => {
    const { clock, server, client } = made();
    server.refuse = "going_away";
    const startMs = clock.now();
    const failed = client.connect({ timeoutMs: 2500 }).catch((error) => error);
    expect(await clock.until(failed)).toMatchObject({ code: "going_away" });
    expect(clock.now() - startMs).toBeLessThanOrEqual(2510);
    expect(server.hellos).toHaveLength(5); // after 0.1, 0.2, 0.5 and 1 s
    expect(clock.pending).toBe(0);
  });

  test("that HTTP turns away as full is asked again, too", async () => {
    const ask = async () => ({ status: 503, body: '{"reason": "full"}' });
    const { clock, server, client, done } = made({}, {}, { ask });
    server.network.state = "refused";
    const connecting = client.connect();
    await clock.advance(1000);
    server.network.state = "up";
    await clock.until(connecting);
    expect(server.said("pathOpen")).toHaveLength(1);
    await done();
  });

  test("is sent on with its token and nonce, and is back where that is dead", async () => {
    const { clock, server, client, done, dialled } = made({}, { token: "good" });
    server.sentOn.set(FIRST, NEXT);
    await clock.until(client.connect());
    expect(dialled).toEqual([FIRST, NEXT]);
    expect(server.hellos.map(({ token }) => token)).toEqual(["good", "good"]);
    expect(server.hellos[1]?.attachNonce).toEqual(server.hellos[0]?.attachNonce);
    await done();
    dialled.length = 0;
    server.sentOn.set(FIRST, OTHER);
    server.network.stateOf.set(OTHER, "dark");
    const connecting = client.connect();
    await clock.advance(1500);
    server.sentOn.clear();
    await clock.until(connecting);
    expect([dialled[0], dialled[1], dialled.at(-1)]).toEqual([FIRST, OTHER, FIRST]);
    await clock.until(client.disconnect());
  });
});

test("the kit's GoAway is the protocol's", async () => {
  const { clock, server, client, of, done } = await up();
  const told: string[] = [];
  client.tap((direction, { payload }) => direction === "in" && told.push(String(payload.case)));
  server.session.goAway({ reason: "an update" });
  await clock.advance(10);
  expect(told).toContain("goAway" satisfies wire.PayloadCase);
  expect(of("goingAway")).toMatchObject([{ reason: "an update", timeLeftMs: 0 }]);
  await done();
});
