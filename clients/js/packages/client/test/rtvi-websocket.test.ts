/** A session with a stock bot over its WebSocket: what Pipecat's runner said, frame by frame
 * (tests/interop/stock_bot.py of pipecat 1.14, the audio shortened), and what is answered. */
import { readFileSync } from "node:fs";
import { wire } from "@voxwire/protocol";
import { readFrame } from "@voxwire/protocol/rtvi";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { AnyEvent, ClientOptions } from "../src/api.js";
import type { WebSocketLike } from "../src/core/environment.js";
import { createClient, tool } from "../src/index.js";
import type { MediaHost } from "../src/media/media.js";
import { type PipecatBotOptions, pipecatBot } from "../src/rtvi/index.js";
import { fakeMedia, VirtualTime } from "../src/testing/index.js";

const recorded = readFileSync(new URL("stock-bot-frames.json", import.meta.url), "utf8");
const FRAMES = (JSON.parse(recorded) as string[]).map((text) => Buffer.from(text, "base64"));
const CALL = FRAMES.findIndex((frame) => frame.includes("llm-function-call-in-progress"));

const TYPES = [
  ..."sessionStarted sessionEnded utteranceStarted utteranceEnded botWord flushed".split(" "),
  ..."interrupted userTranscript toolCallStarted toolCallEnded error ignored".split(" "),
] as AnyEvent["type"][];

afterEach(() => vi.unstubAllGlobals());

class BotSocket implements WebSocketLike {
  binaryType = "blob";
  readonly protocol = "";
  readyState = 1;
  bufferedAmount = 0;
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  readonly sent: Uint8Array[] = [];
  closed: number | undefined;
  send(data: Uint8Array): void {
    this.sent.push(data);
  }
  close(code?: number): void {
    this.closed = code;
    this.onclose?.({ code } as never);
  }
  say(frame: Uint8Array | string): void {
    const data = typeof frame === "string" ? frame : new Uint8Array(frame).buffer;
    this.onmessage?.({ data } as never);
  }
  /** Messages of the client, without audio. */
  get messages() {
    return this.sent
      .map((data) => readFrame(data))
      .flatMap((frame) => (frame.kind === "message" ? [frame.message] : []));
  }
}

/** A client whose bot is in the test's hands. */
function setUp(options: Partial<ClientOptions> = {}, bot: PipecatBotOptions = {}) {
  const time = new VirtualTime();
  const sockets: BotSocket[] = [];
  const dialled: [string, string][] = [];
  const environment = {
    ...{ now: time.now, after: time.after, jitter: () => 0.5, ask: undefined },
    openSocket(url: string, protocol: string) {
      const socket = new BotSocket();
      sockets.push(socket);
      dialled.push([url, protocol]);
      time.after(1, () => socket.onopen?.({} as never));
      return socket;
    },
  };
  const media = fakeMedia({ clock: time, carriers: ["webrtc", "websocket"] });
  const client = createClient({
    ...{ url: "http://bot.test:7860", transport: "websocket", peer: pipecatBot(bot), environment },
    ...{ media: () => media },
    ...options,
  });
  const events: AnyEvent[] = [];
  for (const type of TYPES) {
    client.on(type, (event) => void events.push({ type, event } as AnyEvent));
  }
  const of = (type: string) => events.filter((one) => one.type === type).map(({ event }) => event);
  /** Up to a session that is ready. */
  async function ready(): Promise<BotSocket> {
    const connecting = client.connect();
    connecting.catch(() => {});
    await time.advance(5);
    const socket = sockets[0] as BotSocket;
    socket.say(FRAMES[0] as Buffer);
    await time.until(connecting);
    return socket;
  }
  /** Lets the bot say what was recorded. */
  async function play(socket: BotSocket, from: number, to: number): Promise<void> {
    for (const frame of FRAMES.slice(from, to)) {
      socket.say(frame);
      await time.advance(20);
    }
  }
  return { client, dialled, events, media, of, play, ready, sockets, time };
}

const showOnMap = (run: (args: { place: string }) => unknown) =>
  tool("show_on_map", { type: "object" }, run);

test("one socket, no subprotocol, never a text, and the session is up at bot-ready", async () => {
  const { client, dialled, events, ready } = setUp();
  const socket = await ready();
  expect(dialled).toEqual([["ws://bot.test:7860/ws-client", ""]]);
  expect(socket.messages).toMatchObject([
    {
      type: "client-ready",
      data: { version: "2.2.0", about: { library: "voxwire-js" } },
    },
  ]);
  expect(events[0]).toMatchObject({
    type: "sessionStarted",
    event: { server: "pipecat-ai 1.14.0", bot: "", resumed: false },
  });
  expect(client.status.get()).toMatchObject({ status: "ready" });
  expect(client.features.get()).toEqual(new Set());
});

test("what the bot said is told as a Voxwire server's would be, and its words as they arrive", async () => {
  const calls: unknown[] = [];
  const show = showOnMap((args) => {
    calls.push(args);
    return { pinned: args.place };
  });
  const { client, media, of, play, ready } = setUp({ tools: [show] });
  const socket = await ready();
  await play(socket, 1, FRAMES.length);

  const words = of("botWord") as { text: string; source: string; utteranceId: string }[];
  expect(words.map(({ text }) => text).join(" ")).toBe(
    "Hello, I am your concierge. It is on your map: Paris.",
  );
  expect(new Set(words.map(({ source }) => source))).toEqual(new Set(["arrival"]));
  expect(of("utteranceEnded")).toMatchObject([
    { end: "interrupted", heardWords: 5, heardSource: "unknown" },
    { end: "completed", heardWords: 6, heardSource: "unknown" },
  ]);
  expect(of("userTranscript")).toMatchObject([
    { text: "show paris on the map", final: true, typed: true },
  ]);

  // the interruption voids what had come, and what comes then stands behind it
  const flush = media.received.find((payload) => payload.case === "flush");
  expect(flush?.value).toMatchObject({ untilMediaMs: 160n }); // four pieces of 40 ms
  expect(of("flushed")).toHaveLength(1);

  // the tool ran here once, and the bot was told as Pipecat reads it
  expect(calls).toEqual([{ place: "Paris" }]);
  expect(socket.messages.filter(({ type }) => type === "llm-function-call-result")).toMatchObject([
    {
      data: {
        ...{ function_name: "show_on_map", tool_call_id: "call_098a35d14b0d" },
        ...{ arguments: { place: "Paris" }, result: { pinned: "Paris" } },
      },
    },
  ]);
  expect(of("toolCallEnded")).toMatchObject([{ name: "show_on_map", outcome: "done" }]);
  expect(client.conversation.get().turns.map(({ role }) => role)).toEqual(["bot", "user", "bot"]);
  expect(of("error")).toEqual([]);
  expect(of("ignored")).toEqual([]);
});

test("the bot's audio goes to the speaker at its own rate, in order", async () => {
  const { media, play, ready } = setUp();
  const socket = await ready();
  const said: [number, number][] = [];
  const current = media.current;
  if (!current) throw new Error("no path");
  const receive = current.receive.bind(current);
  const rates: number[] = [];
  current.receive = (payload) => {
    if (payload.case === "audio") {
      said.push([Number(payload.value.sampleIndex), payload.value.data.length / 2]);
    } else if (payload.case === "pathAnswer") rates.push(payload.value.playout?.sampleRate ?? 0);
    receive(payload);
  };
  await play(socket, 1, FRAMES.length);
  expect(rates).toEqual([24_000]);
  expect(said).toEqual(Array.from({ length: 8 }, (_, at) => [at * 960, 960]));
});

describe("a tool of the page", () => {
  const results = (socket: BotSocket) =>
    socket.messages
      .filter(({ type }) => type === "llm-function-call-result")
      .map(({ data }) => (data as { result: unknown }).result);

  test("that runs for ever is answered when its time is up: a stock bot has no deadline", async () => {
    const show = tool("show_on_map", { type: "object" }, () => new Promise(() => {}), {
      timeoutMs: 4000,
    });
    const { play, ready, time } = setUp({ tools: [show] });
    const socket = await ready();
    await play(socket, CALL, CALL + 1);
    await time.advance(3900);
    expect(results(socket)).toEqual([]);
    await time.advance(200);
    expect(results(socket)).toMatchObject([{ error: { code: "timeout" } }]);
  });

  test("whose call the bot ends is stopped, and nothing is answered", async () => {
    let aborted = false;
    const show = tool(
      "show_on_map",
      { type: "object" },
      (_, call) =>
        new Promise(() => {
          call.signal.addEventListener("abort", () => {
            aborted = true;
          });
        }),
    );
    const { of, play, ready, time } = setUp({ tools: [show] });
    const socket = await ready();
    await play(socket, CALL, CALL + 2);
    await time.advance(700_000);
    expect(aborted).toBe(true);
    expect(results(socket)).toEqual([]);
    expect(of("toolCallEnded")).toHaveLength(1);
  });
});

test("what a stock bot cannot do is refused where it is asked for, and nothing is sent", async () => {
  const { client, ready } = setUp();
  const socket = await ready();
  const { length } = socket.sent;
  await expect(client.interrupt()).rejects.toMatchObject({ code: "unsupported" });
  await expect(client.sendText("now", { interrupt: true })).rejects.toMatchObject({
    code: "unsupported",
  });
  await expect(client.sendMessage("big", "x".repeat(1_100_000))).rejects.toMatchObject({
    code: "too_large",
  });
  await client.userActivity(); // a hint, which a bot that has no word for it does without
  expect(socket.sent).toHaveLength(length);
  await client.sendText("and now");
  await client.sendDtmf("12#");
  expect(socket.messages.slice(1)).toMatchObject([
    { type: "send-text", data: { content: "and now", options: { run_immediately: true } } },
    { type: "dtmf", data: { buttons: ["1", "2", "#"] } },
  ]);
});

test("the user's voice is sent as frames of 16 kHz, and dropped where the bot does not read", async () => {
  const { media, ready } = setUp();
  let host: MediaHost | undefined;
  media.onStart = (given) => {
    host = given;
  };
  const socket = await ready();
  const data = Uint8Array.from({ length: 640 }, (_, at) => at % 200);
  const value = wire.create(wire.AudioChunkSchema, { pathId: 1, data });
  expect(host?.send({ case: "audio", value })).toBe(true);
  expect(readFrame(socket.sent.at(-1) as Uint8Array)).toEqual({
    ...{ kind: "audio", data, sampleRate: 16_000, numChannels: 1 },
  });
  socket.bufferedAmount = 40_000;
  expect(host?.send({ case: "audio", value })).toBe(false);
});

describe("the end", () => {
  test("a bot that leaves closes in order", async () => {
    const { client, of, ready, time } = setUp();
    const socket = await ready();
    socket.onclose?.({ code: 1000 } as never);
    await time.advance(500);
    expect(client.status.get()).toEqual({ status: "closed", reason: "bot" });
    expect(of("sessionEnded")).toMatchObject([{ reason: "bot" }]);
    expect(client.features.get()).toEqual(new Set());
  });

  test("a socket that breaks is the end: another one would be another bot", async () => {
    const { client, ready, sockets, time } = setUp();
    const socket = await ready();
    socket.onclose?.({ code: 1006 } as never);
    await time.advance(60_000);
    expect(client.status.get()).toMatchObject({
      ...{ status: "closed", reason: "error", error: { code: "connection_lost" } },
    });
    expect(sockets).toHaveLength(1);
    expect(time.pending).toBe(0);
  });

  test("disconnect() asks the bot to end, and waits a second for it", async () => {
    const { client, of, ready, time } = setUp();
    const socket = await ready();
    const over = client.disconnect();
    await time.advance(0);
    expect(socket.messages.at(-1)).toMatchObject({ type: "disconnect-bot" });
    socket.onclose?.({ code: 1000 } as never);
    await time.until(over, 5000);
    expect(of("sessionEnded")).toMatchObject([{ reason: "client" }]);
    expect(time.pending).toBe(0);
  });

  test("of a runner that does not take the token", async () => {
    const { client, sockets, time } = setUp({ token: "old" });
    const failed = client.connect().catch((error) => error);
    await time.advance(5);
    sockets[0]?.onclose?.({ code: 4003 } as never);
    expect(await time.until(failed)).toMatchObject({ code: "unauthorized" });
    expect(time.pending).toBe(0);
  });

  test("of a bot that does not say that it is ready", async () => {
    const { client, time } = setUp();
    const error = await time.until(client.connect({ timeoutMs: 3000 }).catch((one) => one));
    expect(error).toMatchObject({
      ...{ code: "timeout", reason: "the bot did not say that it is ready in time" },
    });
    expect(time.pending).toBe(0);
  });
});

test("what is no frame is ignored and counted, and the session goes on", async () => {
  const { client, of, ready, time } = setUp();
  const socket = await ready();
  socket.say("hello");
  socket.say(Uint8Array.of(0xff));
  socket.say(Uint8Array.of(0x0a, 0x00));
  await time.advance(10);
  expect(of("ignored")).toMatchObject([{ count: 1 }, { count: 2 }, { count: 3 }]);
  expect(client.status.get().status).toBe("ready");
});

test("a diagnosis begins no session with a bot", async () => {
  const { client, sockets, time } = setUp();
  const { ok, checks } = await time.until(client.diagnose());
  expect(ok).toBe(true);
  const skipped = checks.filter(({ state }) => state === "skipped").map(({ name }) => name);
  expect(skipped).toEqual(expect.arrayContaining(["server", "token", "rtt"]));
  expect(sockets).toEqual([]);
});

describe("before the session", () => {
  test("a start names the socket and its token; both are used, the client's token is not", async () => {
    const asked: unknown[] = [];
    vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
      asked.push(url, init.headers, JSON.parse(String(init.body)));
      return Response.json({
        wsUrl: "wss://0.0.0.0:7860/ws-client",
        sessionId: "s-1",
        token: "t-1",
      });
    });
    const options = { token: "mine", metadata: { user: "ann" } };
    const { client, dialled, ready } = setUp(options, { start: { warm: true } });
    await ready();
    expect(asked).toEqual([
      "http://bot.test:7860/start",
      { "content-type": "application/json", authorization: "Bearer mine" },
      { transport: "websocket", body: { user: "ann" }, warm: true },
    ]);
    expect(dialled).toEqual([["ws://bot.test:7860/ws-client?token=t-1", ""]]);
    expect(client.status.get()).toMatchObject({ sessionId: "s-1" });
  });

  test("without a start the client's token goes to the socket, below its own endpoint", async () => {
    const { dialled, ready } = setUp(
      { url: "https://bot.test/voice/", token: "mine" },
      { endpoint: "/ws" },
    );
    await ready();
    expect(dialled).toEqual([["wss://bot.test/voice/ws?token=mine", ""]]);
  });

  test("a runner that refuses the start is the error of the connect", async () => {
    vi.stubGlobal("fetch", async () => Response.json({ detail: "full" }, { status: 429 }));
    const { client, dialled, time } = setUp({}, { start: true });
    const error = await time.until(client.connect().catch((one) => one));
    expect(error).toMatchObject({ code: "rate_limited", retryable: true });
    expect(dialled).toEqual([]);
  });

  test("what a runner has no place for is refused", async () => {
    const rows: [Partial<ClientOptions>, string][] = [
      [{ bot: "story" }, "unsupported"],
      [{ metadata: { a: 1 } }, "unsupported"],
      [{ url: "bot.test" }, "invalid_argument"],
      [{ url: "http://a:b@bot.test" }, "invalid_argument"],
    ];
    for (const [options, code] of rows) {
      const { client, time } = setUp(options);
      expect(await time.until(client.connect().catch((one) => one))).toMatchObject({ code });
      expect(time.pending).toBe(0);
    }
  });
});
