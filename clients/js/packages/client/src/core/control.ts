/** The control channel of a session: one `Channel` for its whole life, sockets come and go. */
import { Channel, ChannelError, ClockSync, makeError, type VoxwireError } from "@voxwire/protocol";
import * as wire from "@voxwire/protocol/wire";
import type { Payload } from "../media/media.js";
import { movingWindowMs } from "./addresses.js";
import { asError, backoffMs, type Greeting, isFinal, Lost, lost, Refusal } from "./attach.js";
import { type Attached, Dialler } from "./dialler.js";
import type { ControlChannel, ControlHandler, Feature, Passage, Tap } from "./peer.js";
import { Scope } from "./scope.js";
import type { Received, Socket } from "./socket.js";
import { Watch } from "./watch.js";

/** Unsent bytes above which audio and reports are dropped (1 s of 20 ms blocks). */
const MAX_LOSSY_QUEUED_BYTES = 36_000;
/** Unsent bytes above which the server is taken for one that does not read. */
const MAX_QUEUED_BYTES = 4_194_304;
/** A server that says so when the session begins is asked again. */
const BUSY = /^(capacity|rate_limited|going_away)$/;
/** A close this long after an error of the server has that error as its reason, milliseconds. */
const VERDICT_MS = 2000;

/** What a server's own features mean for a program. */
const FEATURES: Readonly<Record<Feature, keyof typeof wire.Feature>> = {
  interrupt: "SEQUENCE",
  reconnect: "RESUME",
  replay: "RESUME",
  word_times: "WORDS",
  heard_words: "PLAYOUT_REPORTS",
  tool_declarations: "CLIENT_TOOLS",
  tool_progress: "CLIENT_TOOLS",
  user_activity: "USER_ACTIVITY",
  clock: "SEQUENCE",
};

function featuresOf({ features }: wire.Welcome): ReadonlySet<Feature> {
  const names = Object.keys(FEATURES) as Feature[];
  return new Set(names.filter((name) => features.includes(wire.Feature[FEATURES[name]])));
}

export class Control implements ControlChannel {
  features: ReadonlySet<Feature> = new Set();
  readonly clock = new ClockSync();
  droppedMessages = 0;
  /** Why there is no socket now; undefined while there is one. */
  failure: VoxwireError | undefined;
  readonly #channel: Channel;
  readonly #dialler: Dialler;
  readonly #watch: Watch;
  #socket: Socket | undefined;
  /** What was said before there was a socket. */
  #early: Uint8Array<ArrayBuffer>[] = [];
  #over = false;
  #verdict: { readonly atMs: number; readonly error: VoxwireError } | undefined;
  #cancelAck: (() => void) | undefined;
  /** When connecting has to be over; the time in the server's queue comes on top. */
  #endMs = 0;
  #queuedMs: number | undefined;

  constructor(
    private readonly scope: Scope,
    private readonly greeting: Greeting,
    gate: Passage,
    private readonly handler: ControlHandler,
    private readonly tap: Tap,
  ) {
    this.#channel = new Channel({
      allowed: wire.SERVER_PAYLOADS,
      limits: { ageMs: 600_000 }, // the grace of the session bounds the age
    });
    this.#dialler = new Dialler(
      greeting,
      gate,
      () => this.#channel.lastReceived,
      tap,
      (message) => this.#waits(message),
    );
    this.#watch = new Watch({
      clock: this.clock,
      channel: this.#channel,
      greeting,
      over: () => this.#over,
      ping: () => this.send({ case: "ping", value: this.clock.ping(this.#nowUs()) }),
      attach: (own) => this.#dialler.attachAnywhere(own),
    });
  }

  /** True once the server has said that it keeps the session when its socket is lost. */
  get resumable(): boolean {
    return this.greeting.resumable;
  }

  get numbers(): { readonly lastReceived: number; readonly lastSent: number } {
    return { lastReceived: this.#channel.lastReceived, lastSent: this.#channel.lastSent };
  }

  /** From here on a lost socket is the end. */
  finish(): void {
    this.#over = true;
  }

  /** The server will close this socket; plans a move to where it says that the session goes on. */
  move(goAway: wire.GoAway): void {
    const { env } = this.scope;
    const { addresses, here, resumable } = this.greeting;
    const moves = addresses.sentOn(goAway.resumeUrl, here) && resumable;
    const [earliestMs, latestMs] = movingWindowMs(goAway.timeLeftMs, env.jitter());
    const toldMs = env.now();
    this.#watch.leaving = () => {
      const passedMs = env.now() - toldMs;
      return moves && passedMs >= (this.handler.isQuiet() ? earliestMs : latestMs);
    };
  }

  /** The server says why it will close this socket; that counts, not the close code. */
  condemn(error: VoxwireError): void {
    this.#verdict = { atMs: this.scope.env.now(), error };
  }

  /** Cuts the socket, as a broken network would. */
  drop(): void {
    this.#socket?.cut();
  }

  /** Sends a message, or keeps it until the channel is back. False when it was not taken: audio
   * and reports are not without a socket, and while it is more than 1 s behind. Throws "too_large"; "capacity" when
   * too much waits for the server. */
  send(payload: wire.PayloadInit): boolean {
    const envelope = wire.envelope(payload);
    const reliable = wire.RELIABLE_PAYLOADS.has(payload.case as wire.PayloadCase);
    const socket = this.#socket;
    const queued = socket?.bufferedBytes ?? 0;
    if (!reliable && (socket === undefined || queued > MAX_LOSSY_QUEUED_BYTES)) {
      if (payload.case !== "audio") this.droppedMessages += 1; // that is kept elsewhere
      return false;
    }
    if (reliable && this.greeting.resumable && !this.#channel.hasRoom(envelope)) {
      const reason = "too much waits for the server already";
      throw makeError("capacity", reason, { retryable: true });
    }
    if (queued > MAX_QUEUED_BYTES) throw lost("the server does not read what is sent to it");
    this.tap("out", envelope);
    const data = this.#channel.send(envelope, this.scope.env.now());
    if (socket) for (const bytes of data) socket.send(bytes);
    else if (this.greeting.first && !this.greeting.unanswered) this.#early.push(...data);
    return true;
  }

  /** Attaches, and attaches again whenever the socket is lost, until that is the end. Rejects
   * with why it is over; never resolves. */
  async run(dialMs: number): Promise<never> {
    let attempt = 0;
    let afterMs = 0;
    let attached = await this.#attachFirst(dialMs);
    for (;;) {
      this.#use(attached, attempt, afterMs);
      attempt = afterMs = 0;
      try {
        attached = await this.#serve(attached.socket);
        this.#watch.bePatient();
      } catch (error) {
        if (!(error instanceof Lost)) throw error;
        this.#lose(error.error);
        const sinceMs = this.scope.env.now();
        ({ attempt, attached } = await this.#comeBack(error.error));
        afterMs = Math.round(this.scope.env.now() - sinceMs);
      }
    }
  }

  /** Closes the socket, within 0.5 s. `scope` is what is left when the session's is over. */
  async close(scope: Scope): Promise<void> {
    this.#over = true;
    this.#cancelAck?.();
    const socket = this.#socket;
    this.#socket = undefined;
    await socket?.close(scope);
  }

  #comeBack(cause: VoxwireError) {
    return this.#dialler.comeBack(this.scope, cause, (attempt, why) =>
      this.handler.lost(attempt, why),
    );
  }

  /** Gets the first socket; asks a server again that is busy or goes away, as long as connecting
   * may take. */
  async #attachFirst(dialMs: number): Promise<Attached> {
    const { env } = this.scope;
    const { addresses } = this.greeting;
    this.#endMs = env.now() + dialMs;
    for (let attempt = 2; ; ) {
      const [url = ""] = addresses.order;
      try {
        const leftMs = this.#endMs - env.now();
        if (url !== addresses.first) return await this.#dialler.attach(this.scope, url, leftMs);
        return await this.#attachEagerly(leftMs);
      } catch (error) {
        this.#socket?.abort();
        this.#socket = undefined;
        const why = asError(error);
        if (this.scope.closed || why.code === "superseded") throw why;
        const sentOn = error instanceof Refusal && error.sentOn;
        if (!sentOn && addresses.refused(url) && addresses.order.length === 1) continue;
        if (error instanceof Lost) {
          this.#lose(why);
          return (await this.#comeBack(why)).attached;
        }
        const waitMs = Math.max(backoffMs(attempt++, env.jitter()), why.retryAfterMs);
        if (!BUSY.test(why.code) || env.now() + waitMs >= this.#endMs) throw why;
        this.failure = why; // a full service: until somebody welcomes it, that is why it is late
        await this.scope.sleep(waitMs);
        if (why.code === "going_away") this.failure = undefined;
      }
    }
  }

  #waits(message?: wire.Waiting): void {
    const now = this.scope.env.now();
    this.#queuedMs ??= now;
    if (message) {
      this.failure = undefined;
    } else {
      this.#endMs += now - this.#queuedMs;
      this.#queuedMs = undefined;
    }
    this.handler.waits(message);
  }

  /** Opens a socket and says Hello and, without waiting, what is queued. */
  async #attachEagerly(leftMs: number): Promise<Attached> {
    const socket = await this.#dialler.openFirst(this.scope, leftMs);
    this.#socket = socket;
    const eager = !this.greeting.unanswered; // what another one was told is told again
    this.#dialler.greet(socket);
    for (const bytes of this.#early.splice(0)) socket.send(bytes);
    return { socket, welcome: await this.#dialler.readWelcome(this.scope, socket), eager };
  }

  /** Makes a welcomed socket the one in use; what the server lacks is sent again. */
  #use({ socket, welcome, eager }: Attached, attempt: number, afterMs: number): void {
    const now = this.scope.env.now();
    const first = this.greeting.first;
    if (this.#socket !== socket) this.#socket?.abort();
    this.#socket = socket;
    this.failure = this.#verdict = undefined;
    this.greeting.welcomed(welcome, socket.url);
    this.features = featuresOf(welcome);
    this.#channel.maxSendBytes = Math.max(
      128,
      Math.min(welcome.maxMessageBytes || wire.DEFAULT_MAX_MESSAGE_BYTES, 1 << 20),
    );
    this.#watch.heartbeat(welcome.heartbeatMs);
    let unsent = 0;
    if (!eager) {
      this.#channel.onLost(now);
      if (welcome.resumed || (first && welcome.snapshot === undefined)) {
        for (const bytes of this.#missing(Number(welcome.lastSeq), now)) socket.send(bytes);
      } else {
        unsent = this.#channel.unacknowledged;
        this.#channel.restart();
      }
    }
    this.handler.attached(welcome, { attempt, afterMs, unsent });
  }

  #missing(lastSeq: number, now: number): Uint8Array<ArrayBuffer>[] {
    const missing = this.#channel.resume(lastSeq, now);
    if (missing) return missing;
    throw makeError("malformed", "the server resumes from before what is kept");
  }

  /** Notes that there is no socket; throws `error` when it may not be had back. */
  #lose(error: VoxwireError): void {
    this.#socket?.abort();
    this.#socket = undefined;
    this.#cancelAck?.();
    const now = this.scope.env.now();
    const verdict = this.#verdict;
    const why = verdict && now - verdict.atMs < VERDICT_MS ? verdict.error : error;
    this.failure = why;
    this.#watch.reset();
    const ours = why.code === "superseded" && this.greeting.unanswered;
    const { first, resumable } = this.greeting;
    if (this.#over || !(first || resumable)) throw why;
    const left = why.code === "going_away" && resumable; // its server's end is not the session's
    if (isFinal(why, false) && !ours && !left) throw why;
    this.#channel.onLost(now);
  }

  /** Reads until the socket is lost (rejects with `Lost`), or another one is welcomed. */
  async #serve(socket: Socket): Promise<Attached> {
    const serving = new Scope(this.scope.env, this.scope);
    try {
      return await serving.wait<Attached>((resolve, reject) => {
        this.#watch.start(serving, socket, resolve, reject);
        socket.own({
          received: (data) => this.#receive(data),
          lost: (error) => this.#watch.hasCaused(error) || reject(new Lost(error)),
        });
      });
    } finally {
      socket.own(undefined);
      serving.close();
    }
  }

  #receive(data: Received): void {
    const now = this.scope.env.now();
    let delivered: readonly wire.Envelope[] = [];
    try {
      if (typeof data === "string") throw new ChannelError("malformed", "a text message");
      delivered = this.#channel.receive(data, now);
    } catch (error) {
      if (!(error instanceof ChannelError)) throw error;
      this.handler.ignored(error.reason);
      delivered = error.delivered;
    }
    for (const envelope of delivered) {
      this.tap("in", envelope);
      this.#answerPing(envelope.payload);
      this.handler.handle(envelope);
    }
    this.#scheduleAck();
  }

  #answerPing(payload: Payload): void {
    const nowUs = this.#nowUs();
    if (payload.case === "pong") this.clock.receive(payload.value, nowUs);
    if (payload.case === "ping") {
      this.send({ case: "pong", value: ClockSync.pong(payload.value, nowUs, nowUs) });
    }
  }

  #scheduleAck(): void {
    const dueMs = this.#channel.nextDueMs;
    this.#cancelAck?.();
    this.#cancelAck = undefined;
    if (dueMs === undefined) return;
    this.#cancelAck = this.scope.after(dueMs - this.scope.env.now(), () => {
      // A timer may fire a fraction early; the acknowledgement is due then all the same.
      const now = Math.max(this.scope.env.now(), this.#channel.nextDueMs ?? 0);
      for (const bytes of this.#channel.outgoing(now)) this.#socket?.send(bytes);
    });
  }

  #nowUs(): number {
    return this.scope.env.now() * 1000;
  }
}
