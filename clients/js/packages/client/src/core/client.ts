/** The client: what a program holds. State, events and verbs; a `Run` does the rest. */
import {
  type ClientEvents,
  dumpJson,
  type JsonValue,
  makeError,
  VoxwireError,
  type wire,
} from "@voxwire/protocol";
import type {
  Activity,
  AnyEvent,
  CallOptions,
  Client,
  ClientEventMap,
  ClientStatus,
  ConnectOptions,
  Conversation,
  Diagnosis,
  EventType,
  Feature,
  FileAcceptance,
  Logger,
  Quality,
  SendTextOptions,
  Simulate,
  Tool,
} from "../api.js";
import type { Media } from "../media/media.js";
import { gradeOf } from "../media/quality.js";
import { asError, nameOf } from "./attach.js";
import { EMPTY_LOG, reduce } from "./conversation.js";
import { Emitter } from "./emitter.js";
import type { Environment } from "./environment.js";
import { Gate, simulation } from "./gate.js";
import { Journal } from "./journal.js";
import { type OpenOptions, sessionOptions, tokenOf } from "./options.js";
import type { Handler } from "./requests.js";
import { Run, type RunHost } from "./run.js";
import type { Session } from "./session.js";
import { Store } from "./store.js";
import { VERSION } from "./version.js";

const NO_FEATURES: ReadonlySet<Feature> = new Set();
const QUIET: Activity = { bot: "idle", userSpeaking: false, userMuted: false };
/** What the user does beside speaking is told no more often, milliseconds. */
const ACTIVITY_MS = 1000;

/** What `createClient` makes of its options. */
export interface CoreOptions extends OpenOptions {
  readonly env: Environment;
  readonly media: Media;
  readonly logger: Logger;
}

export class CoreClient implements Client {
  readonly status: Store<ClientStatus>;
  readonly activity: Store<Activity>;
  readonly conversation: Store<Conversation>;
  readonly quality: Store<Quality | undefined>;
  readonly accepts: Store<FileAcceptance | undefined>;
  readonly features: Store<ReadonlySet<Feature>>;
  readonly simulate: Simulate;
  readonly #options: CoreOptions;
  readonly #media: Media;
  readonly #emitter: Emitter;
  readonly #gate: Gate;
  readonly #tools = new Map<string, Tool>();
  readonly #handlers = new Map<string, Handler>();
  readonly #taps = new Set<(direction: "in" | "out", envelope: wire.Envelope) => void>();
  #run: Run | undefined;
  /** Ends `devices` events: a client without a session leaves nothing in the page. */
  #unwatch: (() => void) | undefined;
  #log = EMPTY_LOG;
  #ignored = 0;
  #activeMs = Number.NEGATIVE_INFINITY;
  #nonce: Uint8Array<ArrayBuffer> | undefined;
  readonly #journal: Journal;

  constructor(options: CoreOptions) {
    this.#options = options;
    this.#media = options.media;
    this.#gate = new Gate(options.env);
    this.#journal = new Journal(() => options.env.now());
    const report = (error: unknown) => this.#report(error, "a listener");
    this.status = new Store<ClientStatus>({ status: "idle" }, report);
    this.activity = new Store(QUIET, report);
    this.conversation = new Store<Conversation>(EMPTY_LOG.conversation, report);
    this.quality = new Store<Quality | undefined>(undefined, report);
    this.accepts = new Store<FileAcceptance | undefined>(undefined, report);
    this.features = new Store(NO_FEATURES, report);
    this.#emitter = new Emitter(options.env, (error, type) => this.#report(error, type));
    this.simulate = simulation(this.#gate, () => this.#run?.session);
    this.#media.onPlaybackBlocked = (blocked) => this.#emitter.emit("playbackBlocked", { blocked });
    for (const one of options.tools ?? []) this.tool(one);
  }

  get devices() {
    return this.#media.devices;
  }

  get microphone() {
    return this.#media.microphone;
  }

  get positionMs(): number {
    return this.#media.positionMs;
  }

  get output(): AudioNode | undefined {
    return this.#media.output;
  }

  get input(): AudioNode | undefined {
    return this.#media.input;
  }

  async connect(options: ConnectOptions = {}): Promise<void> {
    const before = this.#run;
    if (before && !before.closing) {
      throw makeError("invalid_state", "connect() was called already; disconnect() ends that");
    }
    const run = new Run(
      this.#options.env,
      this.#host(() => this.#run === run),
    );
    this.#run = run;
    const { devices } = this.#media;
    let { microphone } = devices.get();
    this.#unwatch ??= devices.subscribe(() => {
      this.#emitter.emit("devices", devices.get());
      const was = microphone;
      microphone = devices.get().microphone;
      const { selected: device, trouble, reason } = microphone;
      const same = device?.id === was.selected?.id && trouble === was.trouble;
      if (!same || reason !== was.reason)
        this.#emitter.emit("microphoneChanged", { device, trouble, reason });
      this.#run?.session?.mute(!this.#media.microphone.enabled);
    });
    const sinceMs = this.#options.env.now();
    await before?.closed; // a new session begins when the one before is gone
    await run.open(options, sinceMs);
  }

  async disconnect(reason = ""): Promise<void> {
    await this.#run?.disconnect(reason);
  }

  on<K extends EventType>(type: K, listener: (event: ClientEventMap[K]) => void): () => void {
    return this.#emitter.on(type, listener);
  }

  once<K extends EventType>(type: K, options?: CallOptions): Promise<ClientEventMap[K]> {
    return this.#emitter.once(type, options);
  }

  events(options: { signal?: AbortSignal } = {}): AsyncIterable<AnyEvent> {
    return this.#emitter.events(options.signal);
  }

  tap(listener: (direction: "in" | "out", envelope: wire.Envelope) => void): () => void {
    const own = (direction: "in" | "out", envelope: wire.Envelope) => listener(direction, envelope);
    this.#taps.add(own);
    return () => {
      this.#taps.delete(own);
    };
  }

  async sendText(text: string, options: SendTextOptions = {}): Promise<void> {
    const { speak = true, interrupt = false, run = true } = options;
    if (interrupt) await this.interrupt();
    this.#send({
      case: "sendText",
      value: { text, runImmediately: run, audioResponse: speak },
    });
  }

  async sendFile(...file: Parameters<Client["sendFile"]>): Promise<void> {
    return (await this.#session().files.load()).sendFile(this.accepts.get(), ...file);
  }

  async interrupt(): Promise<void> {
    this.#send({ case: "interrupt", value: {} });
  }

  async userActivity(): Promise<void> {
    const { control } = this.#session();
    const nowMs = this.#options.env.now();
    if (!control.features.has("user_activity") || nowMs - this.#activeMs < ACTIVITY_MS) return;
    this.#activeMs = nowMs;
    this.#send({ case: "userActivity", value: {} });
  }

  async call(method: string, payload: JsonValue = null, options: CallOptions = {}) {
    return this.#session().requests.call(method, payload, options);
  }

  handle(method: string, fn: Handler): () => void {
    this.#handlers.set(method, fn);
    return () => {
      if (this.#handlers.get(method) === fn) this.#handlers.delete(method);
    };
  }

  async sendMessage(type: string, data: JsonValue = null): Promise<void> {
    this.#send({ case: "appMessage", value: { type, dataJson: dumpJson(data) } });
  }

  async sendDtmf(digits: string): Promise<void> {
    if (!/^[0-9*#]{1,64}$/.test(digits)) {
      throw makeError("invalid_argument", "digits are 1 to 64 of 0-9, * and #");
    }
    await this.sendMessage("dtmf", { digits });
  }

  tool(tool: Tool): () => void {
    if (!/^[A-Za-z_][A-Za-z0-9_-]{0,63}$/.test(tool.name) || this.#tools.has(tool.name)) {
      throw makeError("invalid_argument", `the tool's name ${tool.name} is taken or no name`);
    }
    this.#tools.set(tool.name, tool);
    return () => {
      if (this.#tools.get(tool.name) === tool) this.#tools.delete(tool.name);
    };
  }

  setVolume(volume: number): void {
    this.#media.setVolume(Math.min(1, Math.max(0, volume)));
  }

  resumeAudio(): Promise<void> {
    return this.#media.resumeAudio();
  }

  levels() {
    return this.#media.levels();
  }

  async diagnose({ signal, timeoutMs = 20_000 }: CallOptions = {}): Promise<Diagnosis> {
    const { env } = this.#options;
    // A token that is good for one session is good for this one and then, with its nonce, again.
    this.#nonce = env.randomBytes(16);
    // loaded when somebody asks: most pages never do
    const { diagnose } = await env.load(import("./diagnose.js"));
    return diagnose({
      ...{ env, signal, timeoutMs, media: this.#media, nonce: this.#nonce },
      sessionOptions: () => sessionOptions(this.#options, env, this.#media),
      token: (own) => tokenOf(this.#options, { reason: "connect", signal: own }),
    });
  }

  report(): JsonValue {
    const { env, transport = "auto", resume = true, icePolicy = "all" } = this.#options;
    const session = this.#run?.session;
    const devices = Object.entries(this.#media.devices.get()).map(
      ([kind, { state, reason, enabled }]) => [kind, { state, reason: reason ?? "", enabled }],
    );
    const { status } = this.status.get();
    return {
      library: `voxwire-js ${VERSION}`,
      platform: env.platform,
      status,
      options: { transport, resume, icePolicy, tools: [...this.#tools.keys()] },
      session: session ? session.figures() : null,
      ignored: this.#ignored,
      skipped: this.#log.conversation.skipped,
      positionMs: this.positionMs,
      quality: { ...this.quality.get() } as JsonValue,
      devices: Object.fromEntries(devices) as JsonValue,
      journal: this.#journal.entries,
    };
  }

  #session(): Session {
    const session = this.#run?.session;
    if (session?.welcome) return session;
    throw makeError("invalid_state", "there is no session: connect() first");
  }

  #send(payload: wire.PayloadInit): void {
    this.#session().send(payload);
  }

  #host(current: () => boolean): RunHost {
    const client = this;
    return {
      media: client.#media,
      gate: client.#gate,
      tools: [...client.#tools.values()],
      canRenewToken: client.#options.tokenSource !== undefined,
      tap: (direction, envelope) => client.#tap(direction, envelope),
      emit: (type, event) => client.#emit(type, event),
      ignored(reason) {
        client.#ignored += 1;
        client.#emitter.emit("ignored", { reason, count: client.#ignored });
      },
      failed: (error, during) => client.#report(error, during),
      isQuiet: () => client.activity.get().bot === "idle" && !client.activity.get().userSpeaking,
      requestHandler: (method) => client.#handlers.get(method),
      own: (happened) => client.#note(happened),
      sessionOptions() {
        const nonce = client.#nonce;
        client.#nonce = undefined;
        const { env } = client.#options;
        return { ...sessionOptions(client.#options, env, client.#media), nonce };
      },
      token: (reason, signal) => tokenOf(client.#options, { reason, signal }),
      measure: (session) => void client.#measure(session),
      released() {
        if (!current()) return;
        client.#run = undefined;
        client.#unwatch?.();
        client.#unwatch = undefined;
      },
      setStatus: (status) => client.#setStatus(status),
    };
  }

  #setStatus(status: ClientStatus): void {
    const { logger } = this.#options;
    this.#journal.status(status);
    if (status.status === "closed") {
      const { reason, error } = status;
      this.#note({ type: "over" });
      logger.info("session closed", { reason, code: error?.code });
      this.activity.set(QUIET);
      this.quality.set(undefined);
      this.accepts.set(undefined);
      this.features.set(NO_FEATURES);
    } else if (status.status === "ready") {
      this.features.set(this.#session().control.features);
      logger.info("session ready", { sessionId: status.sessionId, bot: status.bot });
      this.accepts.set(this.#run?.session?.welcome?.accepts);
    } else {
      logger.debug("status", { status: status.status });
    }
    this.status.set(status);
    this.#emitter.emit("status", status);
    if (status.status === "closed") {
      this.#emitter.end(status.error ?? makeError("invalid_state", "the session has ended"));
    }
  }

  #emit<K extends keyof ClientEvents>(type: K, event: ClientEvents[K]): void {
    this.#note({ type, event } as never);
    if (type === "stateChanged") {
      const { bot, user, userMuted } = event as ClientEvents["stateChanged"];
      this.#setActivity({
        bot: bot === "unknown" ? "idle" : bot,
        userSpeaking: user === "speaking",
        userMuted,
      });
    } else if (type === "sessionStarted") {
      this.#setActivity({ ...QUIET, bot: "starting" });
    }
    this.#journal.event(type, event);
    this.#emitter.emit(type, event as never);
  }

  #setActivity(next: Activity): void {
    const { bot, userSpeaking, userMuted } = this.activity.get();
    const same = next.bot === bot && next.userSpeaking === userSpeaking;
    if (!same || next.userMuted !== userMuted) this.activity.set(next);
  }

  #note(happened: Parameters<typeof reduce>[1]): void {
    this.#log = reduce(this.#log, happened);
    this.conversation.set(this.#log.conversation);
  }

  async #measure(session: Session): Promise<void> {
    try {
      const { lost, ...flow } = await this.#media.quality();
      if (this.#run?.session !== session) return;
      const rttUs = session.control.clock.rttUs;
      const rttMs = flow.rttMs ?? (rttUs === undefined ? undefined : rttUs / 1000);
      const measured = { ...flow, rttMs };
      const quality: Quality = { ...measured, grade: gradeOf(measured, lost) };
      this.quality.set(quality);
      this.#emitter.emit("quality", quality);
    } catch (error) {
      this.#report(error, "quality");
    }
  }

  #tap(direction: "in" | "out", envelope: wire.Envelope): void {
    for (const listener of [...this.#taps]) {
      try {
        listener(direction, envelope);
      } catch (error) {
        this.#report(error, "tap");
      }
    }
  }

  /** What the program's own code threw, or what went wrong beside the session. */
  #report(error: unknown, during: string): void {
    const failure = asError(error);
    const ours = error instanceof VoxwireError;
    const reason = ours ? failure.reason : `a handler (${during}) threw ${nameOf(error)}`;
    this.#options.logger.error(reason, { during, error });
    if (during === "error") return;
    const { code, retryable, action, retryAfterMs } = failure;
    this.#emitter.emit("error", {
      ...{ code, reason, retryable, action, retryAfterMs },
      fatal: false,
      subjectId: "",
    });
  }
}
