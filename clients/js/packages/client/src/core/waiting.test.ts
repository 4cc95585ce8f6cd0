/** A server without a place: the client waits, shows where it is, and its deadline stands still. */
import { wire } from "@voxwire/protocol";
import { expect, test } from "vitest";
import type { ClientStatus, ConnectOptions } from "../api.js";
import { createClient } from "../create-client.js";
import { FakeServer, fakeMedia, VirtualTime } from "../testing/index.js";

function made(carriers: ("websocket" | "webrtc")[] = ["websocket"]) {
  const clock = new VirtualTime();
  const server = new FakeServer({ clock });
  const media = fakeMedia({ clock, carriers });
  const client = createClient({
    url: "wss://a.test",
    environment: server.environment,
    media: () => media,
  });
  const told: unknown[] = [];
  const stages: unknown[] = [];
  client.status.subscribe(() => {
    const status: ClientStatus = client.status.get();
    if (status.status === "connecting" && status.waiting) told.push(status.waiting);
    stages.push(status.status === "connecting" ? (status.waiting ?? status.stage) : status.status);
  });
  const connect = (options?: ConnectOptions) => {
    const connecting = client.connect(options);
    connecting.catch(() => {});
    return connecting;
  };
  const done = async () => {
    await clock.until(client.disconnect());
    expect([clock.pending, server.network.open.size]).toEqual([0, 0]);
  };
  return { clock, server, client, told, stages, connect, done };
}

const place = (position: number, estimatedMs = 0) => ({ position, estimatedMs });

test("a client waits, says where it is, and its deadline stands still", async () => {
  const { clock, server, client, told, stages, connect, done } = made();
  server.place = place(2, 40_000);
  const connecting = connect({ timeoutMs: 1000 });
  await clock.advance(10_000);
  server.tell(place(1, 20_000));
  await clock.advance(10_000);
  expect(told).toEqual([place(2, 40_000), place(1, 20_000)]);
  expect(stages.slice(-2)).toEqual(told);
  server.letIn();
  await clock.until(connecting);
  expect(client.status.get().status).toBe("ready");
  await clock.advance(3000); // and no message is taken for unanswered because it is old
  expect(server.hellos).toHaveLength(1);
  await done();
});

test("a badge shows the place, as the README says it", async () => {
  const { clock, server, client, connect, done } = made();
  const badge = { textContent: "" };
  client.status.subscribe(() => {
    const status = client.status.get();
    const place = status.status === "connecting" ? status.waiting : undefined;
    badge.textContent = place ? `number ${place.position} in the queue` : status.status;
  });
  server.place = place(2, 40_000);
  const connecting = connect();
  await clock.advance(100);
  expect(badge.textContent).toBe("number 2 in the queue");
  server.tell(place(1));
  await clock.advance(100);
  expect(badge.textContent).toBe("number 1 in the queue");
  server.letIn();
  await clock.until(connecting);
  expect(badge.textContent).toBe("ready");
  await done();
});

test("what is left of the deadline counts after the wait", async () => {
  const { clock, server, connect, done } = made();
  server.deafTo.add(wire.Carrier.WEBSOCKET);
  server.place = place(1);
  const beganMs = clock.now();
  const connecting = connect({ timeoutMs: 1000 });
  await clock.advance(8000);
  server.letIn();
  await expect(clock.until(connecting)).rejects.toThrow("did not become ready within 1 s");
  expect(clock.now() - beganMs).toBeCloseTo(9000, -2);
  await done();
});

test("what is left of the deadline counts when the wait breaks, and the place is shown no more", async () => {
  const { clock, server, stages, connect, done } = made();
  server.place = place(2);
  const connecting = connect({ timeoutMs: 1000 });
  await clock.advance(8000);
  const beganMs = clock.now();
  server.network.state = "refused";
  server.network.cut();
  await clock.advance(0);
  expect(stages.slice(-2)).toEqual([place(2), "server"]);
  await expect(clock.until(connecting)).rejects.toMatchObject({ code: "connection_lost" });
  expect(clock.now() - beganMs).toBeCloseTo(1000, -2);
  await done();
});

test("a server that leaves at the end of a long wait is asked again", async () => {
  const { clock, server, client, connect, done } = made();
  server.place = place(1);
  const connecting = connect();
  for (let told = 0; told < 4; told++) {
    await clock.advance(5000);
    server.tell(place(1));
  }
  server.refuse = "going_away";
  server.refusal = { retryable: true, retryAfterMs: 1000 };
  server.letIn();
  await clock.advance(500);
  server.refuse = undefined;
  await clock.until(connecting);
  expect(client.status.get().status).toBe("ready");
  await done();
});

test("a place that is told again is no change of the status", async () => {
  const { clock, server, told, connect, done } = made();
  server.place = place(2, 40_000);
  const connecting = connect();
  await clock.advance(5000);
  for (const estimatedMs of [40_000, 40_000, 30_000]) {
    server.tell(place(2, estimatedMs));
    await clock.advance(5000);
  }
  expect(told).toEqual([place(2, 40_000), place(2, 30_000)]);
  server.letIn();
  await clock.until(connecting);
  await done();
});

test("the bound of the wait counts all waits, not what is between, and is the error", async () => {
  const { clock, server, connect, done } = made();
  server.place = place(3);
  const connecting = connect({ waitingMs: 14_000 });
  await clock.advance(8000);
  const brokeMs = clock.now();
  server.network.state = "refused";
  server.network.cut();
  await clock.advance(3000);
  server.network.state = "up";
  await expect(clock.until(connecting)).rejects.toMatchObject({
    code: "timeout",
    reason: "no place within 14 s",
  });
  expect(clock.now() - brokeMs).toBeGreaterThan(3000 + 5900);
  await done();
});

test("the time in the queue is none of the grace", async () => {
  const { clock, server, client, connect, done } = made();
  server.place = place(2);
  const connecting = connect();
  for (const _ of [1, 2]) {
    await clock.advance(2000);
    server.network.cut();
    for (let told = 0; told < 8; told++) {
      await clock.advance(5000);
      server.tell(place(2));
    }
  }
  server.network.cut();
  await clock.advance(2000);
  expect(client.status.get()).toMatchObject({ stage: "place" });
  server.letIn();
  await clock.until(connecting);
  await done();
});

test("the wait has an end of its own", async () => {
  const { clock, server, connect, done } = made();
  server.place = place(3);
  const connecting = connect({ waitingMs: 14_000 });
  const beganMs = clock.now();
  await expect(clock.until(connecting)).rejects.toMatchObject({
    code: "timeout",
    reason: "no place within 14 s",
  });
  expect(clock.now() - beganMs).toBeCloseTo(14_000, -2);
  await done();
});

test("who does not wait says so", async () => {
  const { clock, server, connect, done } = made();
  server.place = place(1);
  await clock.until(connect({ waitingMs: 0 }));
  expect(server.hellos[0]?.features).not.toContain(wire.Feature.WAITING);
  await done();
});

test("a refusal at the end of the wait is the error", async () => {
  const { clock, server, connect, done } = made();
  server.place = place(1);
  const connecting = connect();
  await clock.advance(10_000);
  server.refuse = "capacity";
  server.refusal = { retryable: true, retryAfterMs: 60_000 };
  server.letIn();
  await expect(clock.until(connecting)).rejects.toMatchObject({
    code: "capacity",
    retryAfterMs: 60_000,
  });
  await done();
});

test("the last refusal is the error though one more try is under way", async () => {
  const { clock, server, connect, done } = made();
  server.refuse = "capacity";
  server.refusal = { retryable: true, retryAfterMs: 1000 };
  const connecting = connect({ timeoutMs: 3000 });
  await clock.advance(500);
  server.refuse = undefined;
  server.mute = true;
  await expect(clock.until(connecting)).rejects.toMatchObject({ code: "capacity" });
  expect(server.hellos).toHaveLength(2);
  await done();
});

test("WebRTC is tried first however long the wait was", async () => {
  const { clock, server, client, connect, done } = made(["webrtc", "websocket"]);
  server.place = place(1);
  const connecting = connect();
  await clock.advance(12_000);
  server.letIn();
  await clock.until(connecting);
  expect(server.said("pathOpen").map(({ carrier }) => carrier)).toEqual([wire.Carrier.WEBRTC]);
  expect(client.status.get().status).toBe("ready");
  await done();
});

test("a wait whose socket is lost, or whose server falls silent, goes on with the same nonce", async () => {
  const { clock, server, connect, done } = made();
  server.place = place(2);
  const connecting = connect();
  await clock.advance(3000);
  server.network.cut();
  await clock.advance(9000); // longer than an attempt to come back may take otherwise
  expect(server.hellos).toHaveLength(2);
  await clock.advance(9000); // and nothing was heard for 15 s
  expect(server.hellos).toHaveLength(3);
  expect(new Set(server.hellos.map(({ attachNonce }) => String(attachNonce))).size).toBe(1);
  server.letIn();
  await clock.until(connecting);
  await done();
});

test("who hangs up while it waits leaves nothing", async () => {
  const { clock, server, client, connect, done } = made();
  server.place = place(1);
  const connecting = connect();
  await clock.advance(3000);
  const gone = client.disconnect();
  await expect(clock.until(connecting)).rejects.toMatchObject({ code: "invalid_state" });
  await clock.until(gone);
  expect(server.sessions).toHaveLength(0);
  await done();
});
