import { type ClientEvents, wire } from "@voxwire/protocol";
import { encode, type RtviMessage } from "@voxwire/protocol/rtvi";
import { expect, test } from "vitest";
import type { PeerParts } from "../core/peer.js";
import { Scope } from "../core/scope.js";
import { VirtualTime } from "../testing/index.js";
import type { Line, LineHost } from "./line.js";
import { StockChannel } from "./stock-channel.js";

/** A channel between a session that notes what it is told and a line that is there or not. */
function setUp({ maxMessageBytes = 65_536 } = {}) {
  const time = new VirtualTime();
  const randomBytes = (length: number) => new Uint8Array(length).fill(7);
  const scope = new Scope({ ...time, now: time.now, after: time.after, randomBytes } as never);
  const said: RtviMessage[] = [];
  const told: [string, unknown][] = [];
  const state = { isThere: true, ready: 0 };
  let host: LineHost | undefined;
  const line: Line = {
    ...{ features: [], maxMessageBytes, interrupted() {}, drop() {}, async close() {} },
    take: () => true,
    say(message) {
      if (state.isThere) said.push(message);
      return state.isThere;
    },
    ready() {
      state.ready += 1;
    },
  };
  const parts = {
    scope,
    host: {
      ...{ tools: [{ name: "look" }], tap: () => {} },
      media: { positionMs: 100, microphone: { enabled: true } },
      emit: (type: keyof ClientEvents, event: unknown) => void told.push([type, event]),
    },
    handler: {
      handle: ({ payload }: wire.Envelope) => void told.push([String(payload.case), payload.value]),
      attached: (welcome: wire.Welcome) => void told.push(["attached", welcome]),
      ignored: (reason: string) => void told.push(["ignored", reason]),
    },
  } as unknown as PeerParts;
  const iceServers = [{ urls: "turn:t.test", username: "u", credential: "c" }];
  const channel = new StockChannel({
    parts,
    start: async () => ({ sessionId: "s-1", iceServers }),
    makeLine(given) {
      host = given;
      return line;
    },
  });
  const hear = (type: string, data?: object) =>
    host?.heard({ type, ...(data && { data }) } as never);
  const names = () => told.map(([name]) => name);
  const run = () => channel.run().catch((error) => void told.push(["over", error]));
  return { channel, hear, host: host as LineHost, names, run, said, state, time, told };
}

const text = (content: string) => ({ case: "sendText", value: { text: content } }) as const;

test("a session begins when the bot says that it is ready, with the servers of the start", async () => {
  const { channel, hear, host, run, said, state, time, told } = setUp();
  void run();
  await time.advance(0);
  const servers = [{ urls: ["turn:t.test"], username: "u", credential: "c" }];
  expect(told).toMatchObject([["iceServersUpdate", { iceServers: servers }]]);
  await channel.started;
  expect(channel.failure?.reason).toBe("the connection to the bot was not open in time");
  host.opened(false);
  expect(said).toMatchObject([{ type: "client-ready" }]);
  expect(channel.failure?.reason).toBe("the bot did not say that it is ready in time");
  hear("bot-ready", { version: "2.2.0" });
  hear("bot-ready", { version: "2.2.0" }); // the bot may repeat it
  expect(channel.failure).toBeUndefined();
  const attached = told.filter(([name]) => name === "attached");
  expect(attached).toMatchObject([
    ["attached", { sessionId: "s-1", iceServers: servers, features: [] }],
  ]);
  expect(state.ready).toBe(1);
});

test("what is said while there is no connection arrives when there is one, and a loss is told", () => {
  const { channel, hear, host, said, state, time, told } = setUp();
  host.opened(false);
  hear("bot-ready", { version: "2.2.0" });
  told.length = said.length = 0;
  state.isThere = false;
  host.reconnecting(1);
  channel.send(text("one"));
  channel.send(text("two"));
  expect(said).toEqual([]);
  state.isThere = true;
  void time.advance(0);
  host.opened(true);
  expect(said.map(({ data }) => (data as { content: string }).content)).toEqual(["one", "two"]);
  expect(told).toEqual([
    ["connectionChanged", { state: "reconnecting", attempt: 1, epoch: 1, afterMs: 0 }],
    ["connectionChanged", { state: "connected", attempt: 1, epoch: 1, afterMs: 0 }],
    ["eventsSkipped", { count: 0, unsent: 0, snapshot: undefined }],
  ]);
  expect(state.ready).toBe(2);
});

test("an answer that the loss cut off ends there, and the next one is another utterance", () => {
  const { hear, host, names, told } = setUp();
  host.opened(false);
  hear("bot-ready", { version: "2.2.0" });
  hear("bot-llm-started");
  hear("bot-started-speaking");
  hear("bot-tts-text", { text: "First" });
  told.length = 0;
  host.reconnecting(1);
  host.opened(true);
  expect(names()).toEqual([
    ...["connectionChanged", "connectionChanged", "eventsSkipped"],
    ...["responseEnded", "utteranceEnded", "stateChanged"],
  ]);
  const { BotState, UserState, UtteranceEnd } = wire;
  expect(told.slice(-2)).toMatchObject([
    ["utteranceEnded", { utteranceId: "s1", end: UtteranceEnd.INTERRUPTED, heardMediaMs: 99n }],
    ["stateChanged", { bot: BotState.IDLE, user: UserState.SILENT }],
  ]);
  told.length = 0;
  hear("bot-started-speaking");
  hear("bot-tts-text", { text: "Second" });
  const words = told.find(([name]) => name === "utteranceWords");
  expect(words?.[1]).toMatchObject({ utteranceId: "s2", text: "Second", textOffset: 0 });
});

test("no more waits than half a megabyte", () => {
  const { channel, host, state } = setUp();
  host.opened(false);
  state.isThere = false;
  const most = Array.from({ length: 8 }, () => "x".repeat(60_000));
  for (const one of most) channel.send(text(one));
  expect(() => channel.send(text("x".repeat(60_000)))).toThrow(
    expect.objectContaining({ code: "capacity", retryable: true }),
  );
});

test("a message that is too large is refused; a tool's result is answered as a failure", () => {
  const { channel, hear, host, said } = setUp({ maxMessageBytes: 400 });
  host.opened(false);
  expect(() => channel.send(text("x".repeat(500)))).toThrow(
    expect.objectContaining({ code: "too_large" }),
  );
  const call = { tool_call_id: "c1", function_name: "look", arguments: { at: "y".repeat(200) } };
  hear("llm-function-call-in-progress", call);
  const outcome = { case: "resultJson", value: JSON.stringify("x".repeat(300)) } as const;
  channel.send({ case: "toolResult", value: { callId: "c1", outcome } });
  const last = said.at(-1) as RtviMessage;
  expect(last).toMatchObject({
    type: "llm-function-call-result",
    data: { function_name: "look", tool_call_id: "c1", result: { error: { code: "too_large" } } },
  });
  expect(encode(last).length).toBeLessThan(400);
});

test("an error of the bot is about no path; a fatal one is why it leaves", () => {
  const { channel, hear, host, told } = setUp();
  hear("error", { error: "no key", fatal: false });
  expect(told).toMatchObject([["error", { reason: "no key", subjectId: "bot" }]]);
  channel.condemn();
  host.left();
  expect(told.at(-1)).toMatchObject(["sessionEnded", { reason: wire.EndReason.ERROR }]);
});

test("what is malformed is ignored, and reports of playout go nowhere", () => {
  const { channel, hear, names, said } = setUp();
  hear("bot-tts-text", { text: 7 });
  expect(names()).toEqual(["ignored"]);
  expect(channel.send({ case: "playoutReport", value: {} })).toBe(false);
  expect(channel.send({ case: "toolProgress", value: { callId: "c1" } })).toBe(true);
  expect(said).toEqual([]);
});

test("a file goes to the bot in one message, and what is too large for one is refused", async () => {
  const { channel, hear, host, run, said, time, told } = setUp();
  void run();
  await time.advance(0);
  host.opened(false);
  hear("bot-ready", { version: "2.2.0" });
  const data = new Uint8Array(20).fill(1);
  const begin = { fileId: "f", name: "a.txt", type: "text/plain", text: "read this", size: 20 };
  channel.send({ case: "fileBegin", value: begin });
  expect(told.map(([name]) => name)).not.toContain("fileTaken"); // soon, not at once
  await time.advance(0);
  channel.send({ case: "filePiece", value: { fileId: "f", offset: 0, data } });
  channel.send({ case: "fileBegin", value: { ...begin, fileId: "g", size: 65_536 } });
  await time.advance(0);
  expect(told.filter(([name]) => name.startsWith("file"))).toMatchObject([
    ["fileTaken", { fileId: "f", offset: 0, limit: 20 }],
    ["fileEnded", { fileId: "f", code: 0 }],
    ["fileEnded", { fileId: "g", code: wire.ErrorCode.TOO_LARGE }],
  ]);
  const [file] = said.filter(({ type }) => type === "send-file");
  expect(file?.data).toMatchObject({
    content: "read this",
    file: { name: "a.txt", source: { bytes: btoa("\u0001".repeat(20)) } },
  });
});

/** A bot that has stopped and owes its last word. */
function owing() {
  const setting = setUp();
  const { hear, host, names, told } = setting;
  const spoken_progress = { accumulated_text: "", remaining_text: "It is." };
  host.opened(false);
  hear("bot-ready", { version: "2.2.0" });
  hear("bot-started-speaking");
  hear("bot-output", { text: "It is.", segment_id: 1, spoken_progress });
  hear("bot-tts-text", { text: "It" });
  hear("bot-stopped-speaking");
  expect(names()).not.toContain("utteranceEnded");
  const last = { accumulated_text: "It is.", remaining_text: "" };
  const finish = () => hear("bot-output", { text: "It is.", segment_id: 1, spoken_progress: last });
  const ends = () => told.flatMap(([name, value]) => (name === "utteranceEnded" ? [value] : []));
  return { ...setting, ends, finish };
}

test("the end of an utterance waits for a word that is late", async () => {
  const { ends, finish, time } = owing();
  await time.advance(180);
  finish();
  expect(ends()).toMatchObject([{ heardWords: 2 }]);
  await time.advance(5000);
  expect(ends()).toHaveLength(1);
});

test("the end of an utterance waits for a second, and not beyond the end of the session", async () => {
  const never = owing();
  await never.time.advance(999);
  expect(never.ends()).toEqual([]);
  await never.time.advance(1);
  expect(never.ends()).toMatchObject([{ heardWords: 1, end: wire.UtteranceEnd.COMPLETED }]);
  const left = owing();
  left.host.left();
  expect(left.names().slice(-2)).toEqual(["utteranceEnded", "sessionEnded"]);
  await left.time.advance(5000);
  expect(left.names().at(-1)).toBe("sessionEnded");
});
