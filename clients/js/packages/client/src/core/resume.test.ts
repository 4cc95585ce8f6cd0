import { wire } from "@voxwire/protocol";
import { describe, expect, test } from "vitest";
import type { AnyEvent, ClientOptions } from "../api.js";
import { createClient } from "../create-client.js";
import { FakeServer, fakeMedia, type ScriptedBot, VirtualTime } from "../testing/index.js";

const QUIET = new Set(["quality", "devices"]);

async function up(bot: ScriptedBot = {}, options: Partial<ClientOptions> = {}) {
  const clock = new VirtualTime();
  const server = new FakeServer({ clock, bot });
  const media = fakeMedia({ clock, carriers: ["websocket"] });
  const { environment } = server;
  const client = createClient({ url: "/", environment, media: () => media, ...options });
  const events: AnyEvent[] = [];
  const reading = (async () => {
    for await (const event of client.events()) if (!QUIET.has(event.type)) events.push(event);
  })();
  await clock.until(client.connect());
  const of = (type: string) => events.filter((one) => one.type === type).map((one) => one.event);
  const done = async () => {
    await clock.until(client.disconnect());
    await reading;
    expect([clock.pending, server.network.open.size]).toEqual([0, 0]);
  };
  return { clock, server, media, client, of, done };
}

describe("a lost socket", () => {
  test("is dialled again, the session goes on, nothing is lost or repeated", async () => {
    const texts: string[] = [];
    const { clock, server, client, of, done } = await up({
      onText: (text) => void texts.push(text),
    });
    await client.sendText("one");
    server.network.cut();
    await client.sendText("two");
    await clock.advance(1);
    expect(client.status.get()).toMatchObject({ status: "reconnecting", attempt: 1 });
    await client.sendText("three");
    server.session.message("meanwhile");
    await clock.advance(1000);
    expect(client.status.get()).toMatchObject({ status: "ready", sessionId: "s1" });
    expect(texts).toEqual(["one", "two", "three"]);
    expect(of("appMessage")).toMatchObject([{ type: "meanwhile" }]);
    expect(of("connectionChanged")).toMatchObject([
      { state: "reconnecting", attempt: 1 },
      { state: "connected", attempt: 1, epoch: 2 },
    ]);
    expect(server.hellos.map(({ sessionId, token }) => [sessionId, token])).toEqual([
      ["", ""],
      ["s1", ""],
    ]);
    await done();
  });

  test("in the middle of a sentence, each word is heard once", async () => {
    const { clock, server, of, done } = await up();
    const heard = server.session.say("one two three four five six seven eight");
    await clock.advance(900);
    server.network.cut();
    await clock.advance(4000);
    const words = of("botWord") as { text: string }[];
    expect(words.map(({ text }) => text)).toEqual(
      "one two three four five six seven eight".split(" "),
    );
    expect(await heard).toBe(8);
    expect(of("pathChanged")).toMatchObject([{ pathId: 1 }, { pathId: 2 }]);
    await done();
  });

  test("that does not come back within the grace ends the session", async () => {
    const { clock, server, client } = await up();
    server.network.state = "refused";
    server.network.cut();
    await clock.advance(59_000);
    expect(client.status.get().status).toBe("reconnecting");
    await clock.advance(3000);
    expect(client.status.get()).toMatchObject({
      status: "closed",
      reason: "expired",
      error: { code: "session_expired" },
    });
    expect(clock.pending).toBe(0);
  });

  test("ends the session without resume", async () => {
    const { clock, server, client } = await up({}, { resume: false });
    server.network.cut();
    await clock.advance(1000);
    expect(client.status.get()).toMatchObject({
      status: "closed",
      reason: "error",
      error: { code: "connection_lost" },
    });
    expect(clock.pending).toBe(0);
  });

  test("that the server forgot is refused for good", async () => {
    const { clock, server, client } = await up();
    server.session.release();
    server.network.cut();
    await clock.advance(1000);
    expect(client.status.get()).toMatchObject({ status: "closed", reason: "expired" });
  });

  test("comes back after the advised wait", async () => {
    const { clock, server, client, done } = await up();
    server.refuse = "capacity";
    server.refusal = { retryAfterMs: 3000 };
    server.network.cut();
    await clock.advance(2000);
    expect(server.hellos.length).toBe(2);
    server.refuse = undefined;
    await clock.advance(2000);
    expect(client.status.get().status).toBe("ready");
    expect(server.hellos.length).toBe(3);
    await done();
  });
});

test("a network that swallows everything is noticed by the missing acknowledgement", async () => {
  const { clock, server, client, of, done } = await up();
  await clock.advance(2000);
  server.network.state = "dark";
  await client.sendText("hello");
  await clock.advance(1500);
  expect(server.network.open.size).toBeGreaterThan(1); // a second socket beside the first
  server.network.state = "up";
  await clock.advance(1000);
  expect(server.said("sendText").map(({ text }) => text)).toEqual(["hello"]);
  expect(client.status.get().status).toBe("ready");
  expect(of("sessionEnded")).toEqual([]);
  await done();
});

test("a server that says nothing for 5 s is gone", async () => {
  const { clock, server, client } = await up();
  await clock.advance(2000);
  server.network.state = "dark";
  await clock.advance(6500);
  expect(client.status.get().status).toBe("reconnecting");
  server.network.state = "up";
  await clock.advance(3000);
  expect(client.status.get().status).toBe("ready");
});

test("a session that goes on elsewhere is left alone", async () => {
  const { clock, server, client } = await up();
  server.session.error("superseded", "taken over");
  await clock.advance(10);
  server.network.open.forEach((socket) => {
    socket.peer?.close(4025, "superseded");
  });
  await clock.advance(1000);
  expect(client.status.get()).toMatchObject({ status: "closed", error: { code: "superseded" } });
  expect(server.hellos.length).toBe(1);
});

test("a snapshot takes the place of what was lost", async () => {
  const { clock, server, client, of, done } = await up();
  server.session.transcript("hi");
  void server.session.say("one two three four five six seven eight");
  await clock.advance(900);
  server.forgetful = true;
  server.network.cut();
  await clock.advance(4000);
  expect(of("eventsSkipped")).toMatchObject([{ count: 0, snapshot: { utteranceId: "u1" } }]);
  expect(client.conversation.get().skipped).toBe(1);
  const words = of("botWord") as { index: number }[];
  expect(words.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  await client.sendText("and on");
  await clock.advance(100);
  expect(server.said("sendText")).toHaveLength(1);
  await done();
});

test("a Hello whose Welcome was lost is repeated with its nonce", async () => {
  const clock = new VirtualTime();
  const server = new FakeServer({ clock });
  const media = fakeMedia({ clock, carriers: ["websocket"] });
  const client = createClient({ url: "/", environment: server.environment, media: () => media });
  server.mute = true;
  const connecting = client.connect();
  await clock.advance(50);
  server.mute = false;
  server.network.cut();
  await clock.until(connecting);
  const [first, second] = server.hellos;
  expect(first?.attachNonce).toEqual(second?.attachNonce);
  expect(server.sessions).toHaveLength(1);
  await clock.until(client.disconnect());
});

test("a path that is lost is replaced inside the session, WebRTC first", async () => {
  const clock = new VirtualTime();
  const server = new FakeServer({ clock });
  const media = fakeMedia({ clock });
  const client = createClient({ url: "/", environment: server.environment, media: () => media });
  const paths: unknown[] = [];
  client.on("pathChanged", (event) => paths.push(event));
  await clock.until(client.connect());
  media.current?.lose();
  await clock.advance(500);
  media.stuck.add("webrtc");
  media.current?.lose();
  await clock.advance(2000);
  expect(paths).toMatchObject([
    { pathId: 1, carrier: "webrtc" },
    { pathId: 2, carrier: "webrtc" },
    { pathId: 4, carrier: "websocket" },
  ]);
  media.stuck.clear();
  await clock.advance(16_000);
  expect(paths.at(-1)).toMatchObject({ pathId: 5, carrier: "webrtc" });
  expect(client.status.get().status).toBe("ready");
  await clock.until(client.disconnect());
  expect([clock.pending, media.paths.size]).toEqual([0, 0]);
});

test.each([
  ["crosses the page's PathClose for it", 7998.5],
  ["is for a path that never connects here", 5000],
])("a PathReady that %s leaves no silent session behind", async (_, readyMs) => {
  const clock = new VirtualTime();
  const server = new FakeServer({ clock });
  const media = fakeMedia({ clock });
  const client = createClient({ url: "/", environment: server.environment, media: () => media });
  const paths: unknown[] = [];
  client.on("pathChanged", ({ carrier }) => paths.push(carrier));
  await clock.until(client.connect());
  server.refusing.set(wire.Carrier.WEBRTC, "ice_failed");
  media.current?.lose();
  await clock.advance(100);
  server.refusing.clear();
  server.readyMs.set(wire.Carrier.WEBRTC, readyMs);
  media.stuck.add("webrtc");
  await clock.advance(25_000);
  expect(server.said("pathClose").map(({ pathId }) => pathId)).toContain(4); // the way back
  expect(paths).toEqual(["webrtc", "websocket", "websocket"]);
  expect(server.session.pathId).toBe(media.current?.pathId);
  expect(client.status.get().status).toBe("ready");
  await clock.until(client.disconnect());
  expect([clock.pending, media.paths.size]).toEqual([0, 0]);
});

test("falls back to WebSocket audio within 6 s", async () => {
  const clock = new VirtualTime();
  const server = new FakeServer({ clock });
  server.deafTo.add(wire.Carrier.WEBRTC);
  const media = fakeMedia({ clock });
  const client = createClient({ url: "/", environment: server.environment, media: () => media });
  const startMs = clock.now();
  await clock.until(client.connect());
  expect(clock.now() - startMs).toBeLessThan(6000);
  expect(media.current?.carrier).toBe("websocket");
  await clock.until(client.disconnect());
});
