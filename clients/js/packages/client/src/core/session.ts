/** What runs behind a session: when it ends, nothing of it remains. */
import {
  type ClientEvents,
  errorFromWire,
  fromEnvelope,
  makeError,
  snapshotOf,
  type VoxwireError,
} from "@voxwire/protocol";
import * as wire from "@voxwire/protocol/wire";
import type { MediaPath, Payload } from "../media/media.js";
import { asError } from "./attach.js";
import { FileLoader } from "./file-loader.js";
import { IceChoice } from "./ice.js";
import { Opening } from "./opening.js";
import { Paths } from "./paths.js";
import type { ControlChannel, ControlHandler, PeerHost, SessionOptions } from "./peer.js";
import { type Handler, Requests } from "./requests.js";
import { Scope } from "./scope.js";
import { drain, endOf, figuresOf, Outcome, type SessionEnd, spoken } from "./session-parts.js";
import { ToolLoader } from "./tool-loader.js";
import type { ToolsHost } from "./tool-runner.js";
import { isLoopback } from "./url.js";

/** How long the server may take to answer Bye, milliseconds. */
const BYE_MS = 1000;

/** What a session tells its client. */
export interface SessionHost extends ToolsHost, PeerHost {
  /** Resolves when microphone and output are there. */
  readonly mediaStarted: Promise<void>;
  ignored(reason: string): void;
  stage(stage: string): void;
  reconnecting(attempt: number, cause: VoxwireError): void;
  /** Where it is in the server's queue, until the next stage; undefined = not in it any more. */
  waits(message?: wire.Waiting): void;
  /** The session is up, for the first time or again. */
  up(welcome: wire.Welcome): void;
  /** True while neither the bot nor the user is heard. */
  isQuiet(): boolean;
  requestHandler(method: string): Handler | undefined;
  failed(error: unknown, during: string): void;
}

export class Session implements ControlHandler {
  readonly control: ControlChannel;
  readonly paths: Paths;
  readonly requests: Requests;
  readonly files: FileLoader;
  welcome: wire.Welcome | undefined;
  readonly #scope: Scope;
  readonly #opening: Opening;
  readonly #tools: ToolLoader;
  #begun = false;
  #idle = false; // the bot is, though what it said may still be on its way to the speaker
  #muted = false;
  #isUp = false;
  #early: wire.Envelope[] = [];
  #earlySkip: ClientEvents["eventsSkipped"] | undefined;
  #lastError: VoxwireError | undefined;
  readonly #outcome = new Outcome();
  #saidBye = false;

  constructor(
    parent: Scope,
    options: SessionOptions,
    private readonly host: SessionHost,
  ) {
    const { env } = parent;
    const scope = new Scope(env, parent);
    this.#scope = scope;
    const send = (payload: wire.PayloadInit) => this.send(payload);
    this.#tools = new ToolLoader(scope, host, send);
    this.control = options.peer.open({ scope, options, host, handler: this });
    const ice = new IceChoice(options.iceServers, options.icePolicy, isLoopback(options.url));
    this.#opening = new Opening(host.media, ice, send, this.control.wiring);
    this.paths = new Paths(scope, this.#opening, {
      carriers: options.carriers,
      keep: options.resume,
      send,
      use: (path) => this.#use(path),
      broke: (error) => {
        if (!this.control.failure) this.#down(1, error);
      },
    });
    this.files = new FileLoader(scope, send);
    this.requests = new Requests(scope, {
      send,
      handler: (method) => host.requestHandler(method),
      failed: (error, method) => host.failed(error, method),
    });
  }

  /** Resolves when the session is up; rejects when it cannot be had. */
  get ready(): Promise<void> {
    return this.#outcome.ready;
  }

  /** Resolves once, after everything that happened was told. */
  get ended(): Promise<SessionEnd> {
    return this.#outcome.ended;
  }

  /** Dials; `ready` and `ended` tell the rest. */
  start(dialMs: number): void {
    this.host.stage("server");
    this.control.run(dialMs).catch((error) => this.#controlOver(asError(error)));
    Promise.all([this.host.mediaStarted, this.control.started])
      .then(() => this.paths.run())
      .catch((error) => {
        if (!this.#scope.closed) this.#fail(asError(error));
      });
  }

  /** Sends a message, now or when the connection is back; false when it was not taken, as audio
   * and reports may be. Throws a VoxwireError. */
  send(payload: wire.PayloadInit): boolean {
    if (this.#outcome.end || this.#scope.closed) {
      throw makeError("invalid_state", "the session has ended");
    }
    return this.control.send(payload);
  }

  /** Tells the server that the microphone is off, or on again. */
  mute(muted: boolean): void {
    if (muted === this.#muted || !this.#begun || this.#outcome.end) return;
    this.#muted = muted;
    try {
      this.send({ case: "mute", value: { muted } });
    } catch (error) {
      this.host.failed(error, "mute");
    }
  }

  /** The error for a session that is not up after `timeoutMs`. */
  timedOut(timeoutMs: number): VoxwireError {
    return this.control.failure ?? this.#opening.timedOut(timeoutMs);
  }

  /** Says Bye and waits a moment for the answer. */
  async bye(reason: string): Promise<void> {
    if (this.#saidBye || this.#outcome.end) return;
    this.#saidBye = true;
    this.control.finish();
    try {
      this.send({ case: "bye", value: { reason } });
      if (this.control.failure) return; // nobody would hear it
      await this.#scope.race(this.ended, BYE_MS, () => undefined);
    } catch {
      // it is over all the same
    }
  }

  /** The page goes away: the server need not wait for it. */
  leave(): void {
    if (this.welcome === undefined || this.#saidBye || this.#outcome.end) return;
    this.#saidBye = true;
    this.control.finish();
    try {
      this.control.send({ case: "bye", value: {} });
    } catch {
      // the server gives the session up after its grace
    }
  }

  /** Ends everything of the session, within 0.6 s. `scope` is what is left of time. */
  async stop(scope: Scope, error: unknown): Promise<void> {
    this.control.finish();
    this.leave();
    this.paths.close();
    this.#scope.close(error);
    this.#outcome.abandon(error);
    await this.control.close(scope);
  }

  /** Figures for a bug report. */
  figures() {
    return figuresOf(this.welcome, this.control, this.paths.opened);
  }

  dropControl(): void {
    this.control.drop();
  }

  dropMedia(): void {
    if (!this.paths.drop()) this.control.drop();
  }

  lost(attempt: number, cause: VoxwireError): void {
    this.paths.detached();
    if (!this.#begun) return;
    const epoch = this.welcome?.epoch ?? 0;
    this.#down(attempt, cause);
    this.host.emit("connectionChanged", { state: "reconnecting", attempt, epoch, afterMs: 0 });
  }

  attached(
    welcome: wire.Welcome,
    { attempt, afterMs, unsent }: { attempt: number; afterMs: number; unsent: number },
  ): void {
    const again = this.welcome !== undefined;
    this.welcome = welcome;
    this.#opening.welcome(welcome.iceServers);
    if (again && attempt === 0) this.paths.detached(); // a second socket took over
    if (!again) {
      this.host.stage("media");
      if (this.host.tools.length > 0) void this.#tools.load();
    }
    if (this.#begun) {
      const { epoch } = welcome;
      this.host.emit("connectionChanged", { state: "connected", attempt, epoch, afterMs });
    }
    const skipped = welcome.snapshot !== undefined || (again && !welcome.resumed);
    if (skipped) this.#skip(welcome.snapshot ?? wire.create(wire.SnapshotSchema), unsent);
    this.paths.attached(skipped);
    this.#up();
  }

  waits(message?: wire.Waiting): void {
    this.#opening.stage = message ? "no place" : "no answer to Hello";
    this.host.waits(message);
  }

  isQuiet(): boolean {
    return this.#idle && this.host.isQuiet();
  }

  ignored(reason: string): void {
    this.host.ignored(reason);
  }

  handle(envelope: wire.Envelope): void {
    const { payload } = envelope;
    if (payload.case === "stateChanged") this.#learn(payload.value);
    if (payload.case === "goAway") this.control.move(payload.value);
    switch (payload.case) {
      case "ping":
      case "pong":
        return;
      case "iceServersUpdate":
        this.#opening.updateIce(payload.value.iceServers);
        return;
      case "fileTaken":
      case "fileEnded":
        this.files.receive(payload);
        return;
      case "toolRequest":
      case "toolCancel":
        this.#tools.receive(payload);
        return;
      case "audio":
      case "mediaAnchor":
      case "pathAnswer":
      case "pathReady":
      case "pathClose":
      case "iceCandidate":
        this.paths.receive(payload, payload.value.pathId);
        return;
      case "error":
      case "sessionEnded":
        this.#happen(envelope);
        return;
      default:
        if (this.#begun) this.#happen(envelope);
        else this.#early.push(envelope);
    }
  }

  /** Plays another path from now on; with the first one the session is up. */
  #use(path: MediaPath): void {
    const { pathId, carrier } = path;
    if (this.#begun) {
      this.host.emit("pathChanged", { pathId, carrier, ...this.host.media.use(path) });
      this.#up();
      return;
    }
    const { welcome } = this;
    if (welcome === undefined) return;
    this.#begun = true;
    this.#muted = !this.host.media.microphone.enabled;
    const resent = this.host.media.use(path);
    this.#up();
    this.#emitOf({ case: "welcome", value: welcome });
    this.host.emit("pathChanged", { pathId, carrier, ...resent });
    if (this.#earlySkip) this.host.emit("eventsSkipped", this.#earlySkip);
    for (const envelope of this.#early.splice(0)) this.#happen(envelope);
    this.#outcome.begin();
  }

  /** Says that the session is up, once both the control channel and a media path are. */
  #up(): void {
    const { welcome } = this;
    if (!welcome || !this.#begun || this.#isUp || this.control.failure || this.paths.broken) return;
    this.#isUp = true;
    this.host.up(welcome);
  }

  #down(attempt: number, cause: VoxwireError): void {
    this.#isUp = false;
    if (this.#begun) this.host.reconnecting(attempt, cause);
  }

  /** Goes on from a snapshot, since what happened meanwhile is lost. */
  #skip(snapshot: wire.Snapshot, unsent: number): void {
    const skipped = { count: 0, unsent, snapshot: snapshotOf(snapshot) };
    this.files.receive();
    const said = spoken(snapshot);
    const state = snapshot.state && ({ case: "stateChanged", value: snapshot.state } as const);
    this.#learn(state?.value);
    if (this.#begun) {
      this.host.emit("eventsSkipped", skipped);
      for (const payload of said) this.#emitOf(payload);
      this.host.media.reset(snapshot);
      if (state) this.host.media.receive(state);
    } else {
      this.#early = [...said, ...(state ? [state] : [])].map((one) =>
        wire.envelope(one as wire.PayloadInit),
      );
      this.#earlySkip = skipped;
    }
    if (snapshot.userMuted !== this.#muted) {
      this.control.send({ case: "mute", value: { muted: this.#muted } });
    }
    if (this.#saidBye) this.control.send({ case: "bye", value: {} });
  }

  #learn(state: wire.StateChanged | undefined): void {
    this.#idle = state?.bot === wire.BotState.IDLE;
  }

  #emitOf(payload: Payload): void {
    const broken = (field: string) => this.host.ignored(`${field} is no JSON`);
    const happened = fromEnvelope(wire.envelope(payload as wire.PayloadInit), broken);
    if (happened) this.host.emit(happened.type, happened.event as never);
  }

  #happen({ payload }: wire.Envelope): void {
    switch (payload.case) {
      case "flush":
      case "stateChanged": // which is told when the speaker is there
        this.host.media.receive(payload);
        return;
      case "error":
        this.#error(payload.value);
        break;
      case "sessionEnded":
        void this.#over(payload.value, payload);
        return;
      case "appMessage": {
        const event = fromEnvelope(wire.envelope(payload), () => {})?.event;
        const data = (event as ClientEvents["appMessage"] | undefined)?.data;
        this.requests.receive(payload.value, data);
        break;
      }
      case undefined:
        return;
    }
    this.#emitOf(payload);
    this.host.media.receive(payload);
  }

  #error(error: wire.Error): void {
    const failure = errorFromWire(error);
    this.#lastError = failure;
    if (this.requests.refuse(error)) return;
    const resumed = failure.action === "resume" && this.control.resumable;
    // Superseded, unless it was this client itself that moved over.
    const goesOn = resumed || failure.code === "superseded";
    if (goesOn || error.fatal) {
      if (!goesOn) this.control.finish();
      this.control.condemn(failure);
    } else if (!this.paths.opened || error.subjectId) this.#opening.refuse(error);
  }

  /** The server's last message: what was received plays out first, unless this side hung up. */
  async #over(message: wire.SessionEnded, payload: Payload): Promise<void> {
    if (this.#outcome.end) return;
    this.control.finish();
    const end = endOf(message.reason, this.#lastError);
    this.#outcome.decide(end);
    if (!end.error && !this.#saidBye && this.#begun) await drain(this.#scope, this.host.media);
    if (this.#scope.closed) return;
    if (this.#begun) this.#emitOf(payload);
    this.#outcome.settle();
  }

  #controlOver(error: VoxwireError): void {
    if (this.#scope.closed || this.#outcome.end) return;
    if (this.#saidBye) this.#outcome.settle({ reason: "client" });
    else this.#fail(error);
  }

  #fail(error: VoxwireError): void {
    if (this.#outcome.end) return; // what was received plays out
    const reason = error.code === "session_expired" ? "expired" : "error";
    this.#outcome.settle({ reason, error });
  }
}
