/** A session of a `FakeServer`: what a scripted bot holds. */
import {
  Channel,
  ChannelError,
  ClockSync,
  type ErrorCode,
  errorToWire,
  type JsonValue,
  makeError,
  parseJson,
} from "@voxwire/protocol";
import * as wire from "@voxwire/protocol/wire";
import type { Clock } from "../media/headless-media.js";
import { FakeCalls, type ToolOutcome } from "./fake-calls.js";
import { type FakeFile, FileShelf } from "./file-shelf.js";
import type { LoopbackSocket } from "./loopback.js";
import { Speech } from "./speech.js";

const RATE = 24_000;
const AUDIO_BYTES = 7680; // 160 ms

/** What a bot of a test does. Every function may be left out. */
export interface ScriptedBot {
  /** The first media path is ready. */
  onReady?(session: FakeSession): void | Promise<void>;
  /** The user typed. */
  onText?(text: string, session: FakeSession): void | Promise<void>;
  /** The client asks; what is returned is the answer, what is thrown is its error. */
  onRequest?(method: string, payload: JsonValue, session: FakeSession): unknown;
  /** What the bot takes of files; absent = none. */
  accepts?: { readonly types: string[]; readonly maxBytes: number };
  /** The user sent a file. */
  onFile?(file: FakeFile, session: FakeSession): void | Promise<void>;
  /** A message of the application that asks nothing. */
  onMessage?(type: string, data: JsonValue, session: FakeSession): void;
}

export interface SayOptions {
  readonly turnId?: string | undefined;
  readonly wordMs?: number | undefined;
}

/** What a session needs of its server. */
export interface FakeSessionHost {
  readonly clock: Clock;
  readonly bot: ScriptedBot;
  /** Paths that are never answered, and paths that are refused. */
  readonly deafTo: ReadonlySet<wire.Carrier>;
  readonly refusing: ReadonlyMap<wire.Carrier, ErrorCode>;
  /** How long paths take to become ready, milliseconds; at once where absent. */
  readonly readyMs: ReadonlyMap<wire.Carrier, number>;
  /** Where a session is to be resumed; empty = where it was dialled. */
  readonly resumeUrl: string;
  /** Everything that clients said, as it was delivered. */
  note(envelope: wire.Envelope): void;
}

export class FakeSession {
  readonly resumeToken = new Uint8Array([1]);
  readonly nonces = new Set<string>();
  epoch = 0;
  /** What the client said in its first Hello. */
  readonly hello: wire.Hello;
  /** The path in use; 0 = none. */
  pathId = 0;
  heardMs = 0;
  /** Samples of the user that came so far, by their number. */
  captured = 0;
  over = false;
  channel: Channel;
  #socket: LoopbackSocket | undefined;
  #cancelAck: (() => void) | undefined;
  /** Calls off a path that is not ready yet, by its number. */
  readonly #opening = new Map<number, () => void>();
  #greeted = false;
  #requests = new Map<string, (message: wire.AppMessage | wire.Error) => void>();
  readonly #calls: FakeCalls;
  /** The files that are on their way. */
  readonly files: FileShelf;
  readonly #speech: Speech;
  #numbers = 0;

  constructor(
    readonly id: string,
    hello: wire.Hello,
    private readonly host: FakeSessionHost,
  ) {
    this.hello = hello;
    this.channel = new Channel({ allowed: wire.CLIENT_PAYLOADS });
    this.#calls = new FakeCalls((payload) => this.send(payload), host.clock);
    this.files = new FileShelf(
      (payload) => this.send(payload),
      (file) => this.#do(() => host.bot.onFile?.(file, this)),
    );
    this.#speech = new Speech((payload) => this.send(payload), host.clock);
  }

  get attached(): boolean {
    return this.#socket !== undefined;
  }

  /** Sends a message, now or when the client is back. */
  send(payload: wire.PayloadInit): void {
    const data = this.channel.send(wire.envelope(payload), this.host.clock.now());
    for (const bytes of data) this.#socket?.send(bytes);
  }

  state(bot: keyof typeof wire.BotState, user: keyof typeof wire.UserState = "SILENT"): void {
    const value = { bot: wire.BotState[bot], user: wire.UserState[user] };
    this.send({ case: "stateChanged", value });
  }

  /** What the user is taken to have said. */
  transcript(text: string, { final = true, turnId = "t1", id = "s1" } = {}): void {
    this.send({ case: "transcript", value: { transcriptId: id, text, final, turnId } });
  }

  /** Speaks; resolves with how many words were heard, when that is known. */
  say(text: string, { turnId = "t1", wordMs = 200 }: SayOptions = {}): Promise<number> {
    const { utterance, startMs, endMs } = this.#speech.begin(text, turnId, wordMs, this.heardMs);
    this.#sound(startMs, endMs);
    return utterance;
  }

  /** Cuts off what is being said, as a user's voice does. */
  interrupt(): void {
    this.#speech.cut(this.heardMs, this.pathId);
  }

  /** Has a tool of the client run. */
  callTool(name: string, args: JsonValue = {}, timeoutMs = 10_000): Promise<ToolOutcome> {
    return this.#calls.call(this.#name("call"), name, args, timeoutMs);
  }

  /** The bare request, as a server sends it, again too. */
  requestTool(callId: string, name: string, argumentsJson: string, timeoutMs = 10_000): void {
    this.#calls.request(callId, name, argumentsJson, timeoutMs);
  }

  cancelTool(callId: string, reason = "not needed any more"): void {
    this.send({ case: "toolCancel", value: { callId, reason } });
  }

  /** Calls that are open. */
  get openCalls(): readonly string[] {
    return this.#calls.open;
  }

  /** Asks the client's program. */
  request(method: string, payload: JsonValue = null): Promise<JsonValue> {
    const requestId = this.#name("r");
    const value = { type: method, requestId, dataJson: dumped(payload) };
    this.send({ case: "appMessage", value });
    return new Promise((resolve, reject) => {
      this.#requests.set(requestId, (answer) => {
        if (answer.$typeName === "voxwire.v1.AppMessage") resolve(parseJson(answer.dataJson));
        else reject(makeError("internal", answer.reason));
      });
    });
  }

  message(type: string, data: JsonValue = null): void {
    this.send({ case: "appMessage", value: { type, dataJson: dumped(data) } });
  }

  error(code: ErrorCode, reason: string, { fatal = false, subjectId = "" } = {}): void {
    this.send({ case: "error", value: errorToWire(makeError(code, reason), { fatal, subjectId }) });
  }

  /** Tells the client that the server leaves; empty = the session goes on at the first URL. */
  goAway({ resumeUrl = "", timeLeftMs = 0, reason = "the server leaves" } = {}): void {
    this.send({ case: "goAway", value: { resumeUrl, timeLeftMs, reason } });
  }

  /** Breaks this session's connection, with a close code. */
  drop(closeCode = 1006): void {
    this.#socket?.close(closeCode);
  }

  /** Ends the session. */
  end(reason: keyof typeof wire.EndReason = "BOT"): void {
    if (this.over) return;
    this.send({ case: "sessionEnded", value: { reason: wire.EndReason[reason], durationMs: 1n } });
    this.release();
    this.#socket?.close(1000);
  }

  /** Nothing of the session goes on. */
  release(): void {
    this.over = true;
    this.#cancelAck?.();
    for (const cancel of this.#opening.values()) cancel();
    this.#speech.close();
  }

  // what the server does with it

  attach(socket: LoopbackSocket, hello: wire.Hello, how: "new" | "resume" | "snapshot"): void {
    const before = this.#socket;
    this.#socket = socket;
    this.epoch += 1;
    const now = this.host.clock.now();
    this.channel.onLost(now);
    if (how === "snapshot") this.channel.restart();
    const missing = how === "resume" ? this.channel.resume(Number(hello.lastSeq), now) : [];
    const snapshot = how === "snapshot" ? { snapshot: this.#speech.snapshot(this.heardMs) } : {};
    const welcome = wire.envelope({
      case: "welcome",
      value: {
        protocolVersion: wire.PROTOCOL_VERSION,
        sessionId: this.id,
        epoch: this.epoch,
        resumed: how === "resume",
        resumeToken: new Uint8Array([this.epoch]),
        lastSeq: BigInt(this.channel.lastReceived),
        features: hello.features,
        heartbeatMs: 2000,
        graceMs: 60_000,
        resumeUrl: this.host.resumeUrl,
        bot: "scripted",
        server: "fake",
        ...(this.host.bot.accepts ? { accepts: this.host.bot.accepts } : {}),
        ...snapshot,
      },
    });
    socket.send(wire.encodeEnvelope(welcome));
    for (const bytes of missing ?? []) socket.send(bytes);
    socket.onmessage = (event: { readonly data: ArrayBuffer }) => {
      if (socket === this.#socket && !this.over) this.#receive(new Uint8Array(event.data));
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#socket = undefined;
    };
    before?.close(4025, "superseded");
  }

  #receive(data: Uint8Array): void {
    try {
      for (const envelope of this.channel.receive(data, this.host.clock.now())) {
        this.host.note(envelope);
        this.#dispatch(envelope);
      }
    } catch (error) {
      if (!(error instanceof ChannelError)) throw error;
      this.error(error.code, error.reason);
    }
    const dueMs = this.channel.nextDueMs;
    this.#cancelAck?.();
    if (dueMs === undefined || this.over) return;
    this.#cancelAck = this.host.clock.after(dueMs - this.host.clock.now(), () => {
      for (const bytes of this.channel.outgoing(this.host.clock.now())) this.#socket?.send(bytes);
    });
  }

  #dispatch({ payload }: wire.Envelope): void {
    const { bot, clock } = this.host;
    switch (payload.case) {
      case "ping": {
        const nowUs = clock.now() * 1000;
        this.send({ case: "pong", value: ClockSync.pong(payload.value, nowUs, nowUs) });
        return;
      }
      case "pathOpen":
        this.#open(payload.value);
        return;
      case "pathClose":
        this.#opening.get(payload.value.pathId)?.();
        if (payload.value.pathId === this.pathId) this.pathId = 0;
        return;
      case "playoutReport":
        this.heardMs = Math.max(this.heardMs, Number(payload.value.mediaMs));
        this.#speech.heard(this.heardMs);
        return;
      case "audio": {
        const { sampleIndex, data } = payload.value;
        this.captured = Math.max(this.captured, Number(sampleIndex) + data.length / 2);
        return;
      }
      case "sendText":
        this.#do(() => bot.onText?.(payload.value.text, this));
        return;
      case "fileBegin":
        this.files.begin(payload.value);
        return;
      case "filePiece":
        this.files.piece(payload.value);
        return;
      case "fileCancel":
        this.files.cancel(payload.value);
        return;
      case "appMessage":
        this.#message(payload.value);
        return;
      case "toolResult":
        this.#calls.receive(payload.value);
        return;
      case "error":
        this.#requests.get(payload.value.subjectId)?.(payload.value);
        return;
      case "interrupt":
        this.interrupt();
        return;
      case "bye":
        this.end("CLIENT");
    }
  }

  #open({ pathId, carrier }: wire.PathOpen): void {
    if (this.host.deafTo.has(carrier)) return;
    const refused = this.host.refusing.get(carrier);
    if (refused) {
      const { code, reason } = errorToWire(makeError(refused, "this server does not"));
      this.send({ case: "pathClose", value: { pathId, code, reason } });
      return;
    }
    const readyMs = this.host.readyMs.get(carrier) ?? 0;
    if (readyMs === 0) {
      this.#use(pathId);
      return;
    }
    const cancel = this.host.clock.after(readyMs, () => this.#use(pathId));
    this.#opening.set(pathId, cancel);
  }

  #use(pathId: number): void {
    this.pathId = pathId;
    this.send({ case: "pathAnswer", value: { pathId, playout: { sampleRate: RATE } } });
    const capture = { case: "captureIndex", value: BigInt(this.captured) } as const;
    this.send({ case: "pathReady", value: { pathId, capture } });
    this.#speech.moved(pathId);
    for (const { startMs, endMs } of this.#speech.unheard(this.heardMs))
      this.#sound(startMs, endMs);
    if (this.#greeted) return;
    this.#greeted = true;
    this.state("IDLE");
    this.#do(() => this.host.bot.onReady?.(this));
  }

  #message(message: wire.AppMessage): void {
    const { type, requestId, response, dataJson } = message;
    if (response) {
      this.#requests.get(requestId)?.(message);
      return;
    }
    const payload = dataJson ? parseJson(dataJson) : null;
    if (requestId === "") {
      this.host.bot.onMessage?.(type, payload, this);
      return;
    }
    const answer = async () => {
      if (!this.host.bot.onRequest) throw makeError("unsupported", "nobody answers that here");
      return this.host.bot.onRequest(type, payload, this);
    };
    answer().then(
      (data) => {
        const value = { type, requestId, response: true, dataJson: dumped(data as JsonValue) };
        this.send({ case: "appMessage", value });
      },
      (error: Error & { code?: ErrorCode }) =>
        this.error(error.code ?? "internal", error.message, { subjectId: requestId }),
    );
  }

  /** Silence of that length, as audio on the path. */
  #sound(startMs: number, endMs: number): void {
    const perMs = RATE / 1000;
    const end = Math.round(endMs * perMs);
    for (let at = Math.round(startMs * perMs); at < end; at += AUDIO_BYTES / 2) {
      const data = new Uint8Array(Math.min(AUDIO_BYTES, (end - at) * 2));
      const value = { pathId: this.pathId, sampleIndex: BigInt(at), data };
      this.send({ case: "audio", value });
    }
  }

  #do(fn: () => void | Promise<void> | undefined): void {
    void (async () => fn())().catch((error: Error) => this.error("bot_failed", error.message));
  }

  #name(kind: string): string {
    this.#numbers += 1;
    return `${kind}${this.#numbers}`;
  }
}

function dumped(value: JsonValue | undefined): string {
  return JSON.stringify(value ?? null);
}
