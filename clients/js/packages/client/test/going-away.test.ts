/** Real servers that leave, and addresses where nobody is, on loopback. */
import { connect, createServer, type Server } from "node:net";
import { wire } from "@voxwire/protocol";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { WebSocketLike } from "../src/core/environment.js";
import { createClient } from "../src/node/index.js";
import { nodeSocket } from "../src/node/node-socket.js";
import { type RealServer, realServer } from "./real-server.js";

let leaving: RealServer;
let next: RealServer;
const cleanups: (() => unknown)[] = [];

beforeAll(async () => {
  [leaving, next] = await Promise.all([realServer({ drainMs: 30_000 }), realServer()]);
}, 90_000);
afterEach(async () => {
  for (const fn of cleanups.splice(0)) await fn();
});
afterAll(async () => {
  await Promise.all([leaving?.stop(), next?.stop()]);
}, 20_000);

/** A port of this machine; what comes there goes to `serve`. */
function listening(serve: Parameters<typeof createServer>[1]): Promise<number> {
  const server: Server = createServer(serve);
  const open = new Set<{ destroy(): void }>();
  server.on("connection", (socket) => {
    open.add(socket);
    socket.on("error", () => socket.destroy());
  });
  cleanups.push(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  });
}

/** Opens sockets whose Welcome names `resumeUrl`. */
function welcoming(resumeUrl: string) {
  const dialled: string[] = [];
  const openSocket = async (url: string, protocol: string) => {
    dialled.push(url);
    const socket = await nodeSocket(url, protocol);
    return new Proxy(socket, {
      get(target, name) {
        const value = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
      set(target, name, value) {
        const told = name === "onmessage" && value ? rewriting(value, resumeUrl) : value;
        return Reflect.set(target, name, told);
      },
    }) as WebSocketLike;
  };
  return { dialled, environment: { openSocket } };
}

function rewriting(told: (event: { data: unknown }) => void, resumeUrl: string) {
  return ({ data }: { data: unknown }) => {
    const envelope = wire.decodeEnvelope(new Uint8Array(data as ArrayBuffer));
    if (envelope.payload.case !== "welcome") return told({ data });
    envelope.payload.value.resumeUrl = resumeUrl;
    told({ data: wire.encodeEnvelope(envelope).slice().buffer });
  };
}

test("a connect that meets a server which leaves gets the next one, with no error", {
  timeout: 60_000,
}, async () => {
  let backend = leaving;
  const port = await listening((incoming) => {
    const outgoing = connect(Number(new URL(backend.url).port), "127.0.0.1");
    outgoing.on("error", () => incoming.destroy());
    incoming.on("close", () => outgoing.destroy());
    incoming.pipe(outgoing).pipe(incoming);
  });
  const url = `ws://127.0.0.1:${port}`;
  const stays = createClient({ url, media: false });
  await stays.connect();
  const warned = stays.once("goingAway");
  leaving.leave();
  expect((await warned).timeLeftMs).toBeGreaterThan(0);
  const comes = createClient({ url, media: false });
  const refused = new Promise<void>((resolve) => {
    comes.tap((_, { payload }) => {
      if (payload.case !== "error") return;
      expect(payload.value.code).toBe(wire.ErrorCode.GOING_AWAY);
      resolve();
    });
  });
  const connecting = comes.connect();
  await refused;
  backend = next;
  await connecting;
  expect(comes.status.get().status).toBe("ready");
  expect(stays.status.get().status).toBe("ready"); // it is let finish
  await Promise.all([comes.disconnect(), stays.disconnect()]);
});

test.each(["nothing listens", "nobody answers"])(
  "from a dead owner (%s) a session is back at its first URL within 3 s",
  {
    timeout: 60_000,
  },
  async (how) => {
    const silent = await listening(() => {});
    const resumeUrl = `ws://127.0.0.1:${how === "nobody answers" ? silent : 9}/v1/session`;
    const { dialled, environment } = welcoming(resumeUrl);
    const client = createClient({ url: next.url, media: false, environment });
    await client.connect();
    const { sessionId } = client.status.get() as { sessionId: string };
    const back = new Promise<number>((resolve) => {
      client.on(
        "connectionChanged",
        ({ state, afterMs }) => state === "connected" && resolve(afterMs),
      );
    });
    client.simulate.dropControl();
    const afterMs = await back;
    process.stdout.write(`${how}: back after ${afterMs} ms\n`);
    expect(afterMs).toBeLessThan(3000); // real time: the bound is the promise
    expect(dialled[1]).toBe(resumeUrl);
    expect(dialled.at(-1)).toBe(dialled[0]);
    const transcript = client.once("userTranscript");
    await client.sendText("thank you", { speak: false });
    expect((await transcript).text).toBe("thank you");
    while (client.status.get().status !== "ready") await client.once("status"); // with a media path
    expect(client.status.get()).toMatchObject({ status: "ready", sessionId });
    await client.disconnect();
  },
);
