/** A server in memory that speaks the real protocol over the real channel. */
import {
  closeCodeOf,
  type ErrorCode,
  errorToWire,
  makeError,
  type Waiting,
} from "@voxwire/protocol";
import * as wire from "@voxwire/protocol/wire";
import { type Environment, realEnvironment } from "../core/environment.js";
import type { Clock } from "../media/headless-media.js";
import { FakeSession, type FakeSessionHost, type ScriptedBot } from "./fake-session.js";
import { LoopbackNetwork, type LoopbackSocket, OPEN } from "./loopback.js";

export interface FakeServerOptions {
  readonly bot?: ScriptedBot | undefined;
  /** A `VirtualTime`; the program's own clock when absent. */
  readonly clock?: Clock | undefined;
  /** Tokens that are good; any when absent. */
  readonly tokens?: readonly string[] | undefined;
}

const ELSEWHERE = makeError("going_away", "another process has the session", {
  retryable: true,
  action: "resume",
});

/** Give `environment` to `createClient`, with a `fakeMedia()` and any URL. */
export class FakeServer implements FakeSessionHost {
  readonly clock: Clock;
  readonly bot: ScriptedBot;
  readonly network: LoopbackNetwork;
  readonly environment: Partial<Environment>;
  readonly deafTo = new Set<wire.Carrier>();
  readonly refusing = new Map<wire.Carrier, ErrorCode>();
  readonly readyMs = new Map<wire.Carrier, number>();
  readonly sessions: FakeSession[] = [];
  /** Every Hello. */
  readonly hellos: wire.Hello[] = [];
  /** Everything that was delivered after it. */
  readonly received: wire.Envelope[] = [];
  tokens: readonly string[] | undefined;
  /** Every Hello is answered with this, with `refusal` as its fields. */
  refuse: ErrorCode | undefined;
  refusal: { readonly retryable?: boolean; readonly retryAfterMs?: number } = {};
  /** Where sessions are to be resumed; empty = where they were dialled. */
  resumeUrl = "";
  /** Who says Hello at a URL is sent on to another, as where a process owns each session. */
  readonly sentOn = new Map<string, string>();
  /** Clients that can wait for a place do, and are told this; `letIn` ends it. */
  place: Waiting | undefined;
  readonly #waiting = new Map<LoopbackSocket, () => void>();
  /** Hellos are read and never answered. */
  mute = false;
  /** The next resume is answered with a Snapshot. */
  forgetful = false;

  constructor({ bot = {}, clock, tokens }: FakeServerOptions = {}) {
    const real = realEnvironment();
    this.clock = clock ?? real;
    this.bot = bot;
    this.tokens = tokens;
    this.network = new LoopbackNetwork(this.clock, (socket) => this.#accept(socket));
    this.environment = {
      now: () => this.clock.now(),
      after: (ms, fn) => this.clock.after(ms, fn),
      openSocket: this.network.openSocket,
      load: (code) => this.clock.load?.(code) ?? code,
      ask: () => Promise.reject(new Error("no HTTP here")),
      jitter: () => 0.5,
      onOnline: () => () => {},
      onLeave: () => () => {},
      baseUrl: () => "https://fake.test/",
    };
  }

  /** The newest session. Throws when there is none. */
  get session(): FakeSession {
    const session = this.sessions.at(-1);
    if (session === undefined) throw new Error("nobody has connected");
    return session;
  }

  /** Payloads of one kind that clients sent. */
  said<C extends wire.PayloadCase>(kind: C) {
    type Value = Extract<wire.Envelope["payload"], { case: C }>["value"];
    const found = this.received.filter(({ payload }) => payload.case === kind);
    return found.map(({ payload }) => payload.value as Value);
  }

  /** The machine is gone, with all sessions. */
  kill(): void {
    this.network.state = "refused";
    for (const session of this.sessions) session.release();
    this.network.cut();
  }

  /** Those who wait are where this says. */
  tell(place: Waiting): void {
    this.place = place;
    const said = wire.encodeEnvelope(wire.envelope({ case: "waiting", value: place }));
    for (const socket of this.#waiting.keys()) socket.send(said);
  }

  /** There is a place for everybody, and those who wait get theirs. */
  letIn(): void {
    this.place = undefined;
    for (const [socket, answer] of this.#waiting) if (socket.readyState === OPEN) answer();
    this.#waiting.clear();
  }

  note(envelope: wire.Envelope): void {
    this.received.push(envelope);
  }

  #accept(socket: LoopbackSocket): void {
    const early: { readonly data: ArrayBuffer }[] = [];
    socket.onmessage = (event: { readonly data: ArrayBuffer }) => {
      const { payload } = wire.decodeEnvelope(new Uint8Array(event.data));
      if (payload.case !== "hello") {
        early.push(event);
        return;
      }
      this.hellos.push(payload.value);
      if (this.mute) return;
      if (this.place && payload.value.features.includes(wire.Feature.WAITING)) {
        const waits = wire.envelope({ case: "waiting", value: this.place });
        socket.send(wire.encodeEnvelope(waits));
        this.#waiting.set(socket, () => this.#answer(socket, payload.value, early));
        return;
      }
      this.#answer(socket, payload.value, early);
    };
  }

  #answer(
    socket: LoopbackSocket,
    hello: wire.Hello,
    early: readonly { readonly data: ArrayBuffer }[],
  ): void {
    const resumeUrl = this.sentOn.get(socket.url);
    if (resumeUrl !== undefined) {
      const goAway = wire.envelope({ case: "goAway", value: { resumeUrl } });
      socket.send(wire.encodeEnvelope(goAway));
    }
    const error = resumeUrl === undefined ? this.#refusalOf(hello) : ELSEWHERE;
    if (error) {
      const value = errorToWire(error, { fatal: true });
      socket.send(wire.encodeEnvelope(wire.envelope({ case: "error", value })));
      socket.close(closeCodeOf(error.code));
      return;
    }
    this.#attach(socket, hello);
    for (const one of early) socket.onmessage?.(one as never);
  }

  #refusalOf(hello: wire.Hello) {
    if (this.refuse) return makeError(this.refuse, "the test says so", this.refusal);
    if (hello.sessionId) {
      const known = this.sessions.find(({ id, over }) => id === hello.sessionId && !over);
      if (known) return undefined;
      return makeError("session_expired", "there is no such session", { action: "reconnect" });
    }
    if (this.tokens && !this.tokens.includes(hello.token)) {
      return makeError("unauthorized", "the token is not good here");
    }
    return undefined;
  }

  #attach(socket: LoopbackSocket, hello: wire.Hello): void {
    const nonce = String(hello.attachNonce);
    const known = this.sessions.find(
      (one) => !one.over && (one.id === hello.sessionId || one.nonces.has(nonce)),
    );
    if (known) {
      const how = this.forgetful ? "snapshot" : hello.sessionId ? "resume" : "new";
      this.forgetful = false;
      known.nonces.add(nonce);
      known.attach(socket, hello, how);
      return;
    }
    const session = new FakeSession(`s${this.sessions.length + 1}`, hello, this);
    session.nonces.add(nonce);
    this.sessions.push(session);
    session.attach(socket, hello, "new");
  }
}
