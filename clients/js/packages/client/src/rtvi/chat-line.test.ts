import { makeError, type wire } from "@voxwire/protocol";
import { afterEach, expect, test, vi } from "vitest";
import { Scope } from "../core/scope.js";
import { VirtualTime } from "../testing/index.js";
import { ChatLine } from "./chat-line.js";
import { Runner } from "./runner.js";

afterEach(() => vi.unstubAllGlobals());

class Channel {
  readyState = "connecting";
  readonly sent: string[] = [];
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  send(text: string): void {
    this.sent.push(text);
  }
  close(): void {
    this.readyState = "closed";
  }
  open(): void {
    this.readyState = "open";
    this.onopen?.();
  }
  say(value: object | string): void {
    this.onmessage?.({ data: typeof value === "string" ? value : JSON.stringify(value) });
  }
}

class Connection {
  signalingState = "stable";
  readonly lines: [string, string | undefined][] = [];
  readonly channels: [string, RTCDataChannelInit | undefined, Channel][] = [];
  localDescription = { sdp: "offer again" };
  readonly answers: string[] = [];
  addTransceiver(kind: string, init?: RTCRtpTransceiverInit): void {
    this.lines.push([kind, init?.direction]);
  }
  createDataChannel(label: string, init?: RTCDataChannelInit): Channel {
    const channel = new Channel();
    this.channels.push([label, init, channel]);
    return channel;
  }
  async setLocalDescription(): Promise<void> {}
  async setRemoteDescription({ sdp }: { sdp: string }): Promise<void> {
    this.answers.push(sdp);
  }
  get channel(): Channel {
    return this.channels[0]?.[2] as Channel;
  }
}

/** A line with a session that notes what it is told, and a runner that answers as it is set. */
function setUp({ resume = true, at = "http://bot.test" } = {}) {
  const time = new VirtualTime();
  const scope = new Scope(time as never);
  const asked: { method: string; body: Record<string, unknown> }[] = [];
  const answers: (Response | Error)[] = [];
  const state = { isListening: true };
  let offers = 0;
  vi.stubGlobal("fetch", async (_: string, { method, mode, body }: RequestInit) => {
    if (mode === "no-cors" && state.isListening) return Response.error();
    if (mode === "no-cors") throw new TypeError("Failed to fetch");
    asked.push({ method: String(method), body: JSON.parse(String(body)) });
    if (method === "PATCH") return Response.json({ status: "success" });
    offers += 1;
    const answer = { sdp: `answer ${offers}`, type: "answer", pc_id: `pc-${offers}` };
    const next = answers.shift() ?? Response.json(answer);
    if (next instanceof Error) throw next;
    return next;
  });
  const told: (wire.PayloadInit | string)[] = [];
  const heard: string[] = [];
  const host = {
    ...{ scope, positionMs: 5000, microphoneOn: true },
    opened: (again: boolean) => void told.push(again ? "opened again" : "opened"),
    heard: ({ type }: { type: string }) => void heard.push(type),
    tell: (payload: wire.PayloadInit) => void told.push(payload),
    reconnecting: (attempt: number) => void told.push(`reconnecting ${attempt}`),
    waiting: () => {},
    left: () => void told.push("left"),
    failed: ({ code, reason }: Error & { code?: string; reason?: string }) =>
      void told.push(`failed: ${code}: ${reason}`),
    ignored: (reason: string) => void told.push(`ignored: ${reason}`),
  };
  const url = { url: at, endpoint: "/api/offer" };
  const runner = new Runner({ ...url, token: "", headers: {} });
  const line = new ChatLine({ host, runner, resume, requestData: { shop: 1 } });
  let paths = 0;
  /** Asks for a path, as `Opening` does. */
  async function offer(): Promise<Connection> {
    const connection = new Connection();
    line.wiring.prepare?.(connection as never);
    paths += 1;
    line.take({ case: "pathOpen", value: { pathId: paths, sdpOffer: `offer ${paths}` } } as never);
    await time.advance(0);
    return connection;
  }
  const candidate = (pathId: number, text: string) => {
    const value = { pathId, candidate: text, sdpMid: "0" };
    line.take({ case: "iceCandidate", value } as never);
  };
  /** Up to a session that is ready. */
  async function ready(): Promise<Connection> {
    const connection = await offer();
    connection.channel.open();
    line.ready();
    told.length = 0;
    return connection;
  }
  return { answers, asked, candidate, heard, line, offer, ready, scope, state, time, told };
}

const signalling = (type: string) => ({ type: "signalling", message: { type } });
const status = (receiver_index: number, enabled: boolean) =>
  JSON.stringify({ type: "signalling", message: { type: "trackStatus", receiver_index, enabled } });

test("an offer has lines for a camera and a screen behind the audio, and one channel", async () => {
  const { asked, line, offer, told } = setUp();
  const connection = await offer();
  expect(connection.lines).toEqual([
    ["video", "inactive"],
    ["video", "inactive"],
  ]);
  expect(connection.channels.map(([label, init]) => [label, init])).toEqual([
    ["chat", { ordered: true }],
  ]);
  expect(asked).toEqual([
    { method: "POST", body: { sdp: "offer 1", type: "offer", request_data: { shop: 1 } } },
  ]);
  expect(told).toEqual([{ case: "pathAnswer", value: { pathId: 1, sdpAnswer: "answer 1" } }]);
  expect(line.say({ type: "client-ready" })).toBe(false);
});

test("an open channel pings at once and each second, tells the tracks, and then is there", async () => {
  const { line, offer, time, told } = setUp();
  const { channel } = await offer();
  channel.open();
  expect(channel.sent[0]).toMatch(/^ping: \d{13}$/);
  expect(channel.sent.slice(1)).toEqual([status(0, true), status(1, false), status(2, false)]);
  expect(told.at(-1)).toBe("opened");
  await time.advance(3000);
  expect(channel.sent.filter((text) => text.startsWith("ping"))).toHaveLength(4);
  line.take({ case: "mute", value: { muted: true } } as never);
  expect(channel.sent.at(-1)).toBe(status(0, false));
  line.ready();
  expect(told.at(-1)).toEqual({ case: "pathReady", value: { pathId: 1 } });
});

test("candidates are told together, and after the answer", async () => {
  const { asked, candidate, offer, time } = setUp();
  const offered = offer();
  candidate(1, "candidate:1");
  candidate(7, "of another path");
  await offered;
  candidate(1, "candidate:2");
  candidate(1, "");
  await time.advance(200);
  const told = asked.filter(({ method }) => method === "PATCH").map(({ body }) => body);
  const one = (text: string) => ({ candidate: text, sdp_mid: "0", sdp_mline_index: 0 });
  expect(told).toEqual([
    { pc_id: "pc-1", candidates: [one("candidate:1")] },
    { pc_id: "pc-1", candidates: [one("candidate:2"), one("")] },
  ]);
});

test("a lost connection is asked for again, and carries the session from then on", async () => {
  const { asked, heard, line, offer, ready, told } = setUp();
  const first = await ready();
  const second = await offer();
  expect(asked.at(-1)?.body).toEqual({
    ...{ sdp: "offer 2", type: "offer", pc_id: "pc-1", restart_pc: true },
    request_data: { shop: 1 },
  });
  expect(told).toContain("reconnecting 1");
  expect(line.say({ type: "send-text" })).toBe(false); // it waits for the new one
  first.channel.onclose?.(); // the bot closes the old one: that is no leaving
  second.channel.open();
  expect(told).not.toContain("left");
  expect(told.at(-1)).toBe("opened again");
  expect(line.say({ type: "send-text" })).toBe(true);
  first.channel.say({ label: "rtvi-ai", type: "late" });
  second.channel.say({ label: "rtvi-ai", type: "bot-llm-started" });
  expect(heard).toEqual(["bot-llm-started"]);
});

test("a runner that does not know the session any more ends it, one that is slow does not", async () => {
  const { answers, offer, ready, told } = setUp();
  await ready();
  answers.push(Response.json({}, { status: 503 }));
  await offer();
  expect(told.at(-1)).toMatchObject({ case: "pathClose", value: { pathId: 2 } });
  answers.push(Response.json({ detail: "who?" }, { status: 404 }));
  await offer();
  expect(told.slice(-2)).toEqual([
    "reconnecting 2",
    expect.stringMatching(/^failed: session_expired: .*HTTP 404/),
  ]);
});

const pcIdOf = (n: number, digit: string) => `SmallWebRTCConnection#${n}-${digit.repeat(32)}`;
const named = (pc_id: string) => Response.json({ sdp: "an answer", type: "answer", pc_id });
const EXPIRED = expect.stringMatching(/^failed: session_expired: /);

test("a runner that answers with a bot of another number has not taken the session back", async () => {
  const { answers, asked, offer, ready, told } = setUp();
  answers.push(named(pcIdOf(3, "a")));
  await ready();
  answers.push(named(pcIdOf(3, "b")));
  await offer();
  expect(told.at(-1)).toMatchObject({ case: "pathAnswer", value: { pathId: 2 } });
  answers.push(named(pcIdOf(0, "c")));
  await offer();
  expect(asked.at(-1)?.body).toMatchObject({ pc_id: pcIdOf(3, "b") });
  expect(told.slice(-2)).toEqual(["reconnecting 2", EXPIRED]);
});

test("a runner that has ended took its sessions along: nothing listens, and that can be told", async () => {
  const refused = new TypeError("fetch failed", { cause: { code: "ECONNREFUSED" } });
  const inAPage = new TypeError("Failed to fetch");
  const timedOut = new TypeError("fetch failed", { cause: { code: "ETIMEDOUT" } });
  const lost = expect.objectContaining({ case: "pathClose" });
  const rows = [
    ["http://bot.test", refused, false, EXPIRED],
    ["http://127.0.0.1:7860", inAPage, false, EXPIRED],
    ["http://127.0.0.1:7860", inAPage, true, lost], // a failure that the page may not read
    ["http://bot.test", inAPage, false, lost], // or the network is gone
    ["http://bot.test", timedOut, false, lost],
  ] as const;
  for (const [at, error, isListening, wanted] of rows) {
    const { answers, offer, ready, state, told } = setUp({ at });
    await ready();
    state.isListening = isListening;
    answers.push(error);
    await offer();
    expect(told.at(-1), `${at} ${error} ${isListening}`).toEqual(wanted);
  }
});

test("a page that is offline does not take its own machine's runner for gone", async () => {
  vi.stubGlobal("navigator", { onLine: false });
  const { answers, offer, ready, state, told } = setUp({ at: "http://localhost:7860" });
  await ready();
  state.isListening = false;
  answers.push(new TypeError("Failed to fetch"));
  await offer();
  expect(told.at(-1)).toMatchObject({ case: "pathClose", value: { pathId: 2 } });
});

test("a first offer that is refused is the error of the connect", async () => {
  const { answers, offer, told } = setUp();
  answers.push(Response.json({ detail: "no" }, { status: 401 }));
  await offer();
  expect(told).toEqual(["failed: unauthorized: bot.test answered HTTP 401: no"]);
});

test("an offer that is given up is not heard of any more", async () => {
  const { line, offer, told } = setUp();
  const offered = offer();
  line.take({ case: "pathClose", value: { pathId: 1 } } as never);
  await offered;
  expect(told).toEqual([]);
});

test("the bot asks for another offer, and gets it on the connection that there is", async () => {
  const { asked, ready, time, told } = setUp();
  const connection = await ready();
  connection.channel.say(signalling("renegotiate"));
  await time.advance(0);
  const body = { sdp: "offer again", type: "offer", pc_id: "pc-1", restart_pc: false };
  expect(asked.at(-1)).toEqual({ method: "POST", body });
  expect(connection.answers).toEqual(["answer 2"]);
  expect(told).toEqual([]);
});

test("the bot leaves: it says so, or closes its end", async () => {
  for (const leave of [
    ({ channel }: Connection) => channel.say(signalling("peerLeft")),
    ({ channel }: Connection) => channel.onclose?.(),
  ]) {
    const { ready, told } = setUp();
    leave(await ready());
    expect(told).toEqual(["left"]);
  }
});

test("a connection that the page itself closed is lost, and so is one that is cut", async () => {
  for (const cut of [
    (connection: Connection) => {
      connection.signalingState = "closed";
      connection.channel.onclose?.();
    },
    (_: Connection, line: { drop(): void }) => line.drop(),
  ]) {
    const { line, ready, told } = setUp();
    cut(await ready(), line);
    expect(told).toMatchObject([{ case: "pathClose", value: { pathId: 1 } }]);
  }
});

test("what is no message is ignored with its reason, and the session goes on", async () => {
  const { heard, ready, told } = setUp();
  const { channel } = await ready();
  channel.say("{");
  channel.onmessage?.({ data: new ArrayBuffer(3) });
  channel.say(signalling("trackStatus"));
  channel.say({ label: "rtvi-ai", type: "bot-llm-stopped" });
  expect(told).toHaveLength(3);
  expect(told.every((one) => String(one).startsWith("ignored: "))).toBe(true);
  expect(heard).toEqual(["bot-llm-stopped"]);
});

test("a bot that is cut off falls silent here with what has been received", async () => {
  const { line, ready, told } = setUp();
  await ready();
  line.interrupted();
  expect(told).toEqual([{ case: "flush", value: { flushId: 1, pathId: 1, untilMediaMs: 5120n } }]);
});

test("nothing is left behind, and nothing is told afterwards", async () => {
  const { line, offer, ready, scope, time, told } = setUp();
  const { channel } = await ready();
  await offer();
  await line.close();
  scope.close(makeError("invalid_state", "over"));
  channel.onclose?.();
  await time.advance(10_000);
  expect(time.pending).toBe(0);
  expect(told.filter((one) => typeof one === "string")).toEqual(["reconnecting 1"]);
});

test("a session that is not to come back has no such feature", () => {
  expect(setUp().line.features).toEqual(["reconnect"]);
  expect(setUp({ resume: false }).line.features).toEqual([]);
});
