import { readFileSync } from "node:fs";
import { makeError, wire } from "@voxwire/protocol";
import { expect, test, vi } from "vitest";
import type { ClientOptions, Logger } from "../api.js";
import { createClient } from "../create-client.js";
import {
  FakeServer,
  type FakeSession,
  fakeMedia,
  type ScriptedBot,
  VirtualTime,
} from "../testing/index.js";
import { MAX_QUEUED } from "./emitter.js";
import { VERSION } from "./version.js";

function made(bot: ScriptedBot = {}, options: Partial<ClientOptions> = {}, tokens?: string[]) {
  const clock = new VirtualTime();
  const server = new FakeServer({ clock, bot, ...(tokens ? { tokens } : {}) });
  const media = fakeMedia({ clock, carriers: ["websocket"] });
  const { environment } = server;
  const client = createClient({ url: "/", environment, media: () => media, ...options });
  return { clock, server, media, client };
}

const NOTHING = { description: "", parameters: { type: "object" }, run: () => null };

async function up(bot: ScriptedBot = {}, options: Partial<ClientOptions> = {}) {
  const all = made(bot, options);
  await all.clock.until(all.client.connect());
  return all;
}

test("a conversation over the loopback, in virtual time", async () => {
  const { clock, server, client } = await up({
    onText: async (text, session) => {
      session.transcript(text);
      await session.say("you said that");
    },
  });
  const words: string[] = [];
  client.on("botWord", ({ text }) => words.push(text));
  expect(client.status.get()).toMatchObject({ status: "ready", bot: "scripted" });
  await client.sendText("hello");
  await clock.advance(150);
  expect(client.activity.get()).toEqual({ bot: "speaking", userSpeaking: false, userMuted: false });
  await clock.advance(3000);
  expect(client.activity.get()).toEqual({ bot: "idle", userSpeaking: false, userMuted: false });
  expect(words).toEqual(["you", "said", "that"]);
  expect(client.conversation.get().turns).toMatchObject([
    { role: "user", text: "hello" },
    { role: "bot", utterances: [{ text: "you said that", end: "completed" }] },
  ]);
  await clock.until(client.disconnect());
  expect(client.status.get()).toEqual({ status: "closed", reason: "client" });
  expect([clock.pending, server.network.open.size]).toEqual([0, 0]);
});

test("what the server can do is told while there is a session", async () => {
  const { clock, client } = await up({}, { resume: false });
  const told: string[][] = [];
  client.features.subscribe(() => told.push([...client.features.get()]));
  const both = ["interrupt", "word_times", "heard_words", "user_activity", "clock"];
  expect([...client.features.get()]).toEqual(both); // no tools were declared, and no resume asked for
  await clock.until(client.disconnect());
  expect(told).toEqual([[]]);
  const { client: other } = await up({}, { tools: [{ ...NOTHING, name: "look" }] });
  expect([...other.features.get()].sort()).toEqual(
    [...both, "reconnect", "replay", "tool_declarations", "tool_progress"].sort(),
  );
});

test("the bot is asked for by name; a name that is not there is an argument's fault", async () => {
  const { clock, server, client } = await up({}, { bot: "story" });
  expect(server.hellos.at(-1)?.bot).toBe("story");
  await clock.until(client.disconnect());
  server.refuse = "invalid_argument";
  await expect(clock.until(client.connect())).rejects.toMatchObject({ code: "invalid_argument" });
  expect(server.hellos).toHaveLength(2); // it is not tried again
});

test("a session that the server ends because nobody used it is closed without an error", async () => {
  const { clock, server, client } = await up();
  server.session.end("IDLE");
  await clock.advance(1000);
  expect(client.status.get()).toEqual({ status: "closed", reason: "idle" });
});

test("requests both ways: answers, errors, timeouts, nobody there", async () => {
  const { clock, server, client } = await up({
    onRequest(method, payload) {
      if (method === "fail") throw makeError("forbidden", "not for you");
      return method === "silent" ? new Promise(() => {}) : { method, payload };
    },
  });
  const { session } = server;
  expect(await clock.until(client.call("echo", [1]))).toEqual({ method: "echo", payload: [1] });
  await expect(clock.until(client.call("fail"))).rejects.toMatchObject({ code: "forbidden" });
  const late = client.call("silent", null, { timeoutMs: 300 });
  await expect(clock.until(late)).rejects.toMatchObject({ code: "timeout" });
  const controller = new AbortController();
  const aborted = client.call("silent", null, { signal: controller.signal });
  controller.abort(new Error("enough"));
  await expect(aborted).rejects.toThrow("enough");
  const remove = client.handle("where", async (payload) => ({ here: payload }));
  expect(await clock.until(session.request("where", 1))).toEqual({ here: 1 });
  remove();
  await expect(clock.until(session.request("where"))).rejects.toThrow("nobody answers");
  const open = expect(client.call("silent")).rejects.toMatchObject({ code: "invalid_state" });
  await clock.until(client.disconnect());
  await open;
});

test("messages, keys, text and interruption go out as they were meant", async () => {
  const told: unknown[] = [];
  const { clock, server, client } = await up({
    onMessage: (type, data) => told.push([type, data]),
  });
  await client.sendMessage("note", { a: 1 });
  await client.sendDtmf("12#");
  await expect(client.sendDtmf("x")).rejects.toMatchObject({ code: "invalid_argument" });
  await client.sendText("hi", { speak: false, run: false, interrupt: true });
  await clock.advance(10);
  expect(told).toEqual([
    ["note", { a: 1 }],
    ["dtmf", { digits: "12#" }],
  ]);
  expect(server.said("interrupt")).toHaveLength(1);
  expect(server.said("sendText")).toMatchObject([
    { text: "hi", audioResponse: false, runImmediately: false },
  ]);
});

test("a user who is there is told to the server, once a second", async () => {
  const { clock, server, client } = await up();
  for (let at = 0; at < 2500; at += 10) {
    await client.userActivity();
    await clock.advance(10);
  }
  expect(server.said("userActivity")).toHaveLength(3);
  await clock.advance(5000);
  await client.userActivity();
  await clock.advance(10);
  expect(server.said("userActivity")).toHaveLength(4);
  await clock.until(client.disconnect());
  await expect(client.userActivity()).rejects.toMatchObject({ code: "invalid_state" });
});

test("a bot that does not listen to the user is shown so", async () => {
  let session: FakeSession | undefined;
  const { clock, client } = await up({
    onReady: (ready) => {
      session = ready;
    },
  });
  const told: boolean[] = [];
  client.activity.subscribe(() => told.push(client.activity.get().userMuted));
  const say = async (userMuted: boolean) => {
    const value = { bot: wire.BotState.THINKING, user: wire.UserState.SILENT, userMuted };
    session?.send({ case: "stateChanged", value });
    await clock.advance(100);
  };
  await say(true);
  expect(client.activity.get()).toEqual({ bot: "thinking", userSpeaking: false, userMuted: true });
  await say(true);
  await say(false);
  expect(told).toEqual([true, false]);
  await say(true);
  await clock.until(client.disconnect());
  expect(client.activity.get().userMuted).toBe(false);
});

test("a microphone that is switched off is told to the server", async () => {
  const { clock, server, client } = await up();
  await client.microphone.setEnabled(false);
  await client.microphone.setEnabled(true);
  await clock.advance(10);
  expect(server.said("mute").map(({ muted }) => muted)).toEqual([true, false]);
});

test("verbs without a session are refused", async () => {
  const { client } = made();
  await expect(client.sendText("hi")).rejects.toMatchObject({ code: "invalid_state" });
  await expect(client.call("x")).rejects.toMatchObject({ code: "invalid_state" });
  await client.disconnect();
  expect(client.status.get()).toEqual({ status: "idle" });
});

test("a handler that throws is reported, and the session goes on", async () => {
  const logger: Logger = { debug() {}, info() {}, warn() {}, error: vi.fn() };
  const { clock, server, client } = await up({}, { logger });
  const errors: unknown[] = [];
  client.on("userTranscript", () => {
    throw new TypeError("a secret");
  });
  client.on("error", (event) => errors.push(event));
  server.session.transcript("hi");
  await clock.advance(10);
  expect(errors).toMatchObject([
    { code: "internal", fatal: false, reason: "a handler (userTranscript) threw TypeError" },
  ]);
  expect(logger.error).toHaveBeenCalledOnce();
  expect(client.conversation.get().turns).toHaveLength(1);
  expect(client.status.get().status).toBe("ready");
});

test("events that nobody reads are counted; once waits, and is given up", async () => {
  const { clock, server, client } = await up();
  const iterator = client.events()[Symbol.asyncIterator]();
  const controller = new AbortController();
  const ended = client.events({ signal: controller.signal })[Symbol.asyncIterator]();
  for (let number = 0; number < MAX_QUEUED + 3; number++) {
    server.session.message("n", number);
    if (number % 500 === 0) await clock.advance(2);
  }
  await clock.advance(500);
  const first = await iterator.next();
  expect(first.value).toMatchObject({ type: "eventsSkipped", event: { snapshot: undefined } });
  expect(first.value?.event).toHaveProperty("count");
  expect((await iterator.next()).value).toMatchObject({ type: "appMessage" });
  controller.abort();
  while (!(await ended.next()).done) {}
  const once = client.once("botWord", { timeoutMs: 100 });
  await expect(clock.until(once)).rejects.toMatchObject({ code: "timeout" });
  const never = expect(client.once("botWord")).rejects.toMatchObject({ code: "invalid_state" });
  await clock.until(client.disconnect());
  await never;
  while (!(await iterator.next()).done) {}
});

test("bad messages are counted and ignored", async () => {
  const { clock, server, client } = await up();
  const ignored: unknown[] = [];
  client.on("ignored", (event) => ignored.push(event));
  const socket = [...server.network.open][0]?.peer;
  socket?.send(new Uint8Array([255, 255, 255]));
  server.session.send({ case: "appMessage", value: { type: "x", dataJson: "{" } });
  await clock.advance(10);
  expect(ignored).toMatchObject([{ count: 1 }, { count: 2 }]);
  expect(client.status.get().status).toBe("ready");
});

test("a refused token is asked for again, once", async () => {
  const asked: string[] = [];
  const tokenSource = ({ reason }: { reason: string }) => {
    asked.push(reason);
    return asked.length === 1 ? "old" : "good";
  };
  const first = made({}, { tokenSource }, ["good"]);
  await first.clock.until(first.client.connect());
  expect(asked).toEqual(["connect", "refused"]);
  expect(first.server.hellos.map(({ token }) => token)).toEqual(["old", "good"]);
  const second = made({}, { tokenSource: () => "bad" }, ["good"]);
  const refused = second.clock.until(second.client.connect());
  await expect(refused).rejects.toMatchObject({ code: "unauthorized" });
  expect(second.server.hellos).toHaveLength(2);
  expect([second.clock.pending, second.media.started]).toEqual([0, 0]);
});

test("closed can connect again: a new session, and a new conversation", async () => {
  const { clock, server, client } = await up();
  server.session.transcript("hi");
  await clock.advance(10);
  server.session.end("BOT");
  await clock.advance(1000);
  expect(client.status.get()).toEqual({ status: "closed", reason: "bot" });
  expect(client.conversation.get().turns).toHaveLength(1);
  await clock.until(client.connect());
  expect(client.status.get()).toMatchObject({ status: "ready", sessionId: "s2" });
  expect(client.conversation.get().turns).toEqual([]);
  await expect(client.connect()).rejects.toMatchObject({ code: "invalid_state" });
  await clock.until(client.disconnect());
  await client.disconnect();
});

test("a fatal error ends the session with it", async () => {
  const { clock, server, client } = await up();
  server.session.error("bot_failed", "the bot raised KeyError", { fatal: true });
  server.session.end("ERROR");
  await clock.advance(1000);
  const error = { code: "bot_failed", reason: "the bot raised KeyError" };
  expect(client.status.get()).toMatchObject({ status: "closed", reason: "error", error });
  expect(clock.pending).toBe(0);
});

test("over a WebSocket the grade goes by the round trip of the control channel", async () => {
  const { clock, server, client } = await up();
  const grades: string[] = [];
  client.on("quality", ({ grade }) => grades.push(grade));
  server.network.latencyMs = 250;
  await clock.advance(60_000);
  expect(client.quality.get()).toMatchObject({ transport: "websocket", grade: "poor" });
  expect(client.quality.get()?.rttMs).toBeGreaterThan(400);
  expect([grades[0], grades.at(-1)]).toEqual(["excellent", "poor"]);
  await clock.until(client.disconnect());
});

test("a tap sees both ways; a report has neither content nor secrets", async () => {
  const { clock, server, media, client } = made({}, { token: "secret-token" });
  const seen: string[] = [];
  client.tap((direction, { payload }) => seen.push(`${direction} ${payload.case}`));
  await clock.until(client.connect());
  server.session.transcript("private words");
  await clock.advance(1500);
  expect(seen.slice(0, 3).sort()).toEqual(["in welcome", "out hello", "out pathOpen"]);
  expect(seen).toContain("in transcript");
  const report = JSON.stringify(client.report());
  expect(report).not.toMatch(/secret-token|private words/);
  expect(client.report()).toMatchObject({
    ...{ library: `voxwire-js ${VERSION}`, status: "ready", ignored: 0 },
    session: { sessionId: "s1", carrier: "websocket", epoch: 1 },
  });
  expect(media.started).toBe(1);
  await clock.until(client.disconnect());
  const { journal } = client.report() as { journal: { what: string }[] };
  expect(journal.map(({ what }) => what)).toEqual([
    ...["connecting", "connecting", "connecting", "ready", "pathChanged"],
    ...["closing", "closed"],
  ]);
});

test("diagnose names what is wrong", async () => {
  const states = async (change: (all: ReturnType<typeof made>) => void) => {
    const all = made({}, { token: "good" }, ["good"]);
    change(all);
    const { ok, checks } = await all.clock.until(all.client.diagnose());
    await all.clock.advance(10);
    expect(all.clock.pending).toBe(0);
    expect(all.client.status.get().status).toBe("idle");
    const failed = checks.filter(({ state }) => state === "failed");
    return { ok, failed: failed.map(({ name, code }) => `${name}: ${code}`), all };
  };
  const fine = await states(() => {});
  expect(fine).toMatchObject({ ok: true, failed: [] });
  // The one-time token is good for the connect behind it, with the same nonce.
  await fine.all.clock.until(fine.all.client.connect());
  const [first, second] = fine.all.server.hellos;
  expect(second?.attachNonce).toEqual(first?.attachNonce);
  const refused = await states(({ server }) => {
    server.tokens = [];
  });
  expect(refused).toMatchObject({ ok: false, failed: ["token: unauthorized"] });
  const unreachable = await states(({ server }) => {
    server.network.state = "refused";
  });
  expect(unreachable).toMatchObject({ ok: false, failed: ["server: unreachable"] });
  const denied = await states(({ media }) => {
    media.checks = async () => ({
      async microphone() {
        throw makeError("permission_denied", "the user refused the microphone");
      },
      ask: async () => [],
      path() {
        throw makeError("unsupported", "no WebRTC");
      },
    });
  });
  expect(denied).toMatchObject({ ok: false, failed: ["microphone: permission_denied"] });
});

test("options are checked at connect; the version is the package's", async () => {
  const connect = (options: Partial<ClientOptions>) => made({}, options).client.connect();
  const usage = { code: "invalid_argument" };
  await expect(connect({ url: "ftp://x" })).rejects.toMatchObject(usage);
  await expect(connect({ url: "wss://user:pw@host" })).rejects.toMatchObject(usage);
  await expect(connect({ transport: "x" as never })).rejects.toMatchObject(usage);
  await expect(connect({ metadata: [1] })).rejects.toMatchObject(usage);
  await expect(connect({ transport: "webrtc" })).rejects.toMatchObject({ code: "unsupported" });
  const { version } = JSON.parse(
    readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
  );
  expect(VERSION).toBe(version);
  expect(wire.PROTOCOL_VERSION).toBe(1);
});

test("hanging up in mid-sentence ends the log: heard words stay, the others are cut", async () => {
  const { clock, client } = await up({
    onText: async (_, session) => session.say("one two three four five six"),
  });
  const counted = new Promise<void>((resolve) => {
    let heard = 0;
    client.on("botWord", () => {
      heard += 1;
      if (heard === 2) resolve();
    });
  });
  await client.sendText("count");
  await clock.until(counted);
  await clock.until(client.disconnect());
  const [turn] = client.conversation.get().turns;
  const [spoken] = turn?.role === "bot" ? turn.utterances : [];
  expect(spoken?.end).toBe("interrupted");
  expect(spoken?.words.map(({ state }) => state)).toEqual(
    ["heard", "heard", "cut", "cut", "cut", "cut"], // none is left unheard
  );
});

test("what a tokenSource throws has a code, and the original as its cause", async () => {
  const thrown = new TypeError("fetch failed");
  const { clock, client } = made({}, { tokenSource: () => Promise.reject(thrown) });
  const failure = await clock.until(client.connect().catch((error: unknown) => error));
  expect(failure).toMatchObject({ code: "unauthorized", cause: thrown });
  expect(client.status.get()).toMatchObject({ status: "closed", error: failure });
});

test("without a page and without media, connect() says what to give in Node", async () => {
  const client = createClient({ url: "ws://127.0.0.1:1" });
  const failure = await client.connect().catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: "unsupported" });
  expect(String(failure)).toMatch(/wavMedia/);
  expect(String(failure)).not.toMatch(/browser/);
});

test("another microphone and the trouble with one are events", async () => {
  const { clock, media, client } = await up();
  const told: unknown[] = [];
  client.on("microphoneChanged", (event) => told.push(event));
  const device = { id: "b", label: "Headset" };
  media.setDevice("microphone", { selected: device });
  media.setDevice("microphone", { available: [device] }); // nothing of it
  media.setDevice("microphone", { trouble: "muted" });
  media.setDevice("microphone", { state: "error", reason: "lost" });
  expect(told).toEqual([
    { device, trouble: undefined, reason: undefined },
    { device, trouble: "muted", reason: undefined },
    { device, trouble: "muted", reason: "lost" },
  ]);
  await clock.until(client.disconnect());
});
