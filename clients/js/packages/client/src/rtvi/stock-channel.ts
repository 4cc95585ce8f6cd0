/** The control channel of a session with a stock Pipecat bot: RTVI on one side, the envelopes of a
 * Voxwire server on the other (protocol/spec/rtvi.md). */
import { type JsonValue, makeError, utf8Length, VoxwireError } from "@voxwire/protocol";
import { encode, LATE_MS, type RtviMessage, StockBot } from "@voxwire/protocol/rtvi";
import * as wire from "@voxwire/protocol/wire";
import { randomId } from "../core/environment.js";
import type { ControlChannel, Feature, PeerParts } from "../core/peer.js";
import type { Scope } from "../core/scope.js";
import { VERSION } from "../core/version.js";
import type { PathWiring } from "../media/media.js";
import type { Line, LineHost } from "./line.js";

/** Messages that wait for a lost connection, bytes. */
const MAX_WAITING_BYTES = 524_288;
/** A stock bot names no deadline for a tool: that of the tool, or the longest, milliseconds. */
const MAX_TOOL_MS = 600_000;
const OF_FILES = new Set(["fileBegin", "filePiece", "fileCancel"]);
/** What only lines know of. */
const OF_LINES = new Set(["pathOpen", "pathClose", "iceCandidate", "audio", "mute"]);

export interface StockChannelOptions {
  readonly parts: PeerParts;
  makeLine(host: LineHost): Line;
  /** Gets a bot before the first connection: its session's id, and the ICE servers to use. */
  start(signal: AbortSignal): Promise<{
    readonly sessionId: string;
    readonly iceServers: readonly RTCIceServer[];
  }>;
}

export class StockChannel implements ControlChannel, LineHost {
  readonly clock = { rttUs: undefined };
  readonly droppedMessages = 0;
  readonly resumable = false;
  readonly started: Promise<void>;
  readonly features: ReadonlySet<Feature>;
  readonly scope: Scope;
  failure: VoxwireError | undefined;
  readonly #options: StockChannelOptions;
  readonly #line: Line;
  readonly #bot: StockBot;
  #sessionId = "";
  #iceServers: { urls: string[]; username: string; credential: string }[] = [];
  #welcomed = false;
  #lostAtMs: number | undefined;
  #attempt = 0;
  readonly #beganMs: number;
  #waiting: RtviMessage[] = [];
  #waitingBytes = 0;
  #sent = 0;
  #received = 0;
  #condemned = false;
  #saidBye = false;
  /** By call. */
  readonly #deadlines = new Map<string, () => void>();
  /** The newest utterance whose end waits, or has waited, for words. */
  #late = "";
  #fail: (error: unknown) => void = () => {};
  #begin: () => void = () => {};

  constructor(options: StockChannelOptions) {
    this.#options = options;
    const { scope, host } = options.parts;
    this.scope = scope;
    this.#beganMs = scope.env.now();
    this.started = new Promise((resolve) => {
      this.#begin = resolve;
    });
    this.#line = options.makeLine(this);
    this.#bot = new StockBot({
      newId: () => this.#newId(),
      tools: new Set(host.tools.map(({ name }) => name)),
      maxMessageBytes: this.#line.maxMessageBytes,
    });
    this.features = new Set(this.#line.features);
    this.waiting("the runner did not answer");
  }

  get wiring(): PathWiring | undefined {
    return this.#line.wiring;
  }

  get numbers() {
    return { lastReceived: this.#received, lastSent: this.#sent };
  }

  get positionMs(): number {
    return Math.floor(this.#options.parts.host.media.positionMs);
  }

  /** Where the last sample sounded: the next one may be a while. */
  get #heardMs(): number {
    return Math.max(0, this.positionMs - 1);
  }

  get microphoneOn(): boolean {
    return this.#options.parts.host.media.microphone.enabled;
  }

  run(): Promise<never> {
    return this.scope.wait<never>((_resolve, reject) => {
      this.#fail = reject;
      this.#start().catch(reject);
    });
  }

  /**
   * Sends a message, now or when the connection is back. False when it was not taken.
   *
   * @throws "unsupported": a stock bot has no message for it; "too_large"; "capacity".
   */
  send(payload: wire.PayloadInit): boolean {
    const envelope = wire.envelope(payload);
    if (payload.case === "playoutReport") return false; // nobody reads it
    this.#saidBye ||= payload.case === "bye";
    if (envelope.payload.case === "toolResult") this.#settle(envelope.payload.value.callId);
    const isOfLines = OF_LINES.has(String(payload.case));
    if (OF_FILES.has(String(payload.case))) this.#takeFile(envelope);
    const messages = isOfLines ? [] : this.#bot.write(envelope);
    for (const message of messages) this.#say(message);
    const taken = isOfLines ? this.#line.take(envelope.payload) : true;
    if (taken) this.#options.parts.host.tap("out", envelope);
    return taken;
  }

  /** Puts a file together for one message, and answers as a server would: soon, not at once. */
  #takeFile(envelope: wire.Envelope): void {
    const { message, told } = this.#bot.takeFile(envelope);
    if (message) this.#say(message);
    queueMicrotask(() => this.#tellAll(told));
  }

  /** A stock bot has no session to come back to but that of its connection. */
  finish(): void {}

  /** A stock bot does not move. */
  move(): void {}

  condemn(): void {
    this.#condemned = true;
  }

  drop(): void {
    this.#line.drop();
  }

  async close(scope: Scope): Promise<void> {
    await this.#line.close(scope);
  }

  opened(again: boolean): void {
    if (again) this.#returned();
    else {
      this.waiting("the bot did not say that it is ready");
      const { env } = this.scope;
      const about = { library: "voxwire-js", libraryVersion: VERSION, platform: env.platform };
      this.#say(this.#bot.requests.clientReady(wire.create(wire.ClientInfoSchema, about)));
    }
  }

  heard(message: RtviMessage): void {
    this.#received += 1;
    try {
      this.#tellAll(this.#bot.read(message, this.#heardMs));
      this.#waitForWords();
    } catch (error) {
      if (!(error instanceof VoxwireError)) throw error;
      this.ignored(error.reason);
    }
  }

  tell(payload: wire.PayloadInit): void {
    const envelope = wire.envelope(payload);
    const told = envelope.payload;
    if (told.case === "welcome") {
      this.#welcome(told.value);
      return;
    }
    if (told.case === "toolRequest") this.#limit(told.value);
    if (told.case === "toolCallEnded") this.#settle(told.value.callId);
    // what a bot says of itself is about no path that is being opened
    if (told.case === "error") told.value.subjectId ||= "bot";
    this.#options.parts.host.tap("in", envelope);
    this.#options.parts.handler.handle(envelope);
    if (told.case === "interrupted") this.#line.interrupted();
  }

  reconnecting(attempt: number): void {
    this.#lostAtMs ??= this.scope.env.now();
    this.#attempt = attempt;
    this.#connectionChanged("reconnecting", 0);
  }

  waiting(what: string): void {
    if (this.#welcomed) return;
    this.failure = makeError("timeout", `${what} in time`, { retryable: true });
  }

  left(): void {
    const { CLIENT, BOT, ERROR } = wire.EndReason;
    const reason = this.#condemned ? ERROR : this.#saidBye ? CLIENT : BOT;
    const durationMs = BigInt(Math.round(this.scope.env.now() - this.#beganMs));
    this.#tellAll(this.#bot.overdue(this.#heardMs));
    this.tell({ case: "sessionEnded", value: { reason, durationMs } });
  }

  failed(error: VoxwireError): void {
    this.#fail(error);
  }

  ignored(reason: string): void {
    this.#options.parts.handler.ignored(reason);
  }

  async #start(): Promise<void> {
    const { sessionId, iceServers } = await this.#options.start(this.scope.signal);
    this.#sessionId = sessionId || this.#newId();
    this.#iceServers = iceServers.map(({ urls, username = "", credential = "" }) => {
      return { urls: [urls].flat(), username, credential };
    });
    this.tell({ case: "iceServersUpdate", value: { iceServers: this.#iceServers } });
    this.waiting("the connection to the bot was not open");
    this.#begin();
  }

  #welcome(said: wire.Welcome): void {
    if (this.#welcomed) return; // a bot may say again that it is ready
    this.#welcomed = true;
    this.failure = undefined;
    const welcome = wire.create(wire.WelcomeSchema, {
      protocolVersion: 1,
      epoch: 1,
      server: said.server,
      accepts: said.accepts,
      sessionId: this.#sessionId,
      iceServers: this.#iceServers,
    });
    this.#options.parts.host.tap("in", wire.envelope({ case: "welcome", value: welcome }));
    const how = { attempt: 0, afterMs: 0, unsent: 0 };
    this.#options.parts.handler.attached(welcome, how);
    this.#line.ready();
  }

  /** Another connection for the same session: what the bot said meanwhile is lost, and so may be
   * the ends of what it was saying. */
  #returned(): void {
    const nowMs = this.scope.env.now();
    this.#connectionChanged("connected", Math.round(nowMs - (this.#lostAtMs ?? nowMs)));
    this.#lostAtMs = undefined;
    const skipped = { count: 0, unsent: 0, snapshot: undefined };
    this.#options.parts.host.emit("eventsSkipped", skipped);
    this.#tellAll(this.#bot.lost(this.#heardMs));
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (const message of waiting) this.#say(message);
    this.#line.ready();
  }

  /** Gives the bot a moment to say the words that are missing at the end of an utterance. */
  #waitForWords(): void {
    const late = this.#bot.lateUtteranceId;
    if (!late || late === this.#late) return;
    this.#late = late;
    this.scope.after(LATE_MS, () => {
      if (late === this.#bot.lateUtteranceId) this.#tellAll(this.#bot.overdue(this.#heardMs));
    });
  }

  #tellAll(envelopes: readonly wire.Envelope[]): void {
    for (const { payload } of envelopes) this.tell(payload);
  }

  #connectionChanged(state: "reconnecting" | "connected", afterMs: number): void {
    const attempt = this.#attempt;
    this.#options.parts.host.emit("connectionChanged", { state, attempt, epoch: 1, afterMs });
  }

  #say(message: RtviMessage): void {
    const bytes = utf8Length(encode(message));
    const { maxMessageBytes } = this.#line;
    if (bytes > maxMessageBytes) {
      const reason = `a stock bot takes ${maxMessageBytes} bytes a message, this has ${bytes}`;
      const failed = failedResult(message, reason);
      if (!failed) throw makeError("too_large", reason);
      this.#say(failed);
      return;
    }
    if (this.#line.say(message)) {
      this.#sent += 1;
      return;
    }
    if (this.#waitingBytes + bytes > MAX_WAITING_BYTES) {
      throw makeError("capacity", "too much waits for the bot already", { retryable: true });
    }
    this.#waiting.push(message);
    this.#waitingBytes += bytes;
  }

  /** Past its deadline a tool is stopped in silence, since a Voxwire server has one of its own; a
   * stock bot waits for ever, and is told. */
  #limit(request: wire.ToolRequest): void {
    const { callId, name } = request;
    const tool = this.#options.parts.host.tools.find((one) => one.name === name);
    request.timeoutMs = Math.min(tool?.timeoutMs || MAX_TOOL_MS, MAX_TOOL_MS);
    const late = { code: wire.ErrorCode.TIMEOUT, reason: "the call passed its deadline" };
    const outcome = { case: "error", value: wire.create(wire.ErrorSchema, late) } as const;
    const result: wire.PayloadInit = { case: "toolResult", value: { callId, outcome } };
    const cancel = this.scope.after(request.timeoutMs, () => this.send(result));
    this.#deadlines.set(callId, cancel);
  }

  /** The call is over, whoever ended it. */
  #settle(callId: string): void {
    this.#deadlines.get(callId)?.();
    this.#deadlines.delete(callId);
  }

  #newId(): string {
    return randomId(this.scope.env, 8);
  }
}

/** A tool's result that is too large, as the failure that it is: the bot would wait for ever. */
function failedResult({ type, id, data }: RtviMessage, reason: string): RtviMessage | undefined {
  if (type !== "llm-function-call-result") return undefined;
  const error = { code: "too_large", message: reason };
  const call = data as { readonly [name: string]: JsonValue };
  return { type, ...(id && { id }), data: { ...call, arguments: {}, result: { error } } };
}
