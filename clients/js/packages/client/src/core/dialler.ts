/** Getting a socket for a session: said Hello on, welcomed, and not in use yet. */
import { errorFromWire, makeError, VoxwireError } from "@voxwire/protocol";
import * as wire from "@voxwire/protocol/wire";
import {
  asError,
  backoffMs,
  expired,
  type Greeting,
  isFinal,
  Lost,
  lost,
  Refusal,
} from "./attach.js";
import type { Passage, Tap } from "./peer.js";
import { Scope } from "./scope.js";
import { Socket } from "./socket.js";

/** How long one attempt to come back may take, Welcome included, milliseconds. */
const DIAL_MS = 3000;
/** The same where a server sent us: the first URL is left to try. */
const MOVED_MS = 1500;
/** A dial that is not through after this long gets another one beside it: a network that is back
 * takes up a connection that was asked for before only after a second and more. */
const AGAIN_MS = 500;
const MAX_DIALS = 3;
/** A server that has us wait says where we are every 5 s; after this it is gone, milliseconds. */
const SILENT_MS = 15_000;
const late = () => new Lost(lost("the server did not answer in time"));

/** A socket whose Welcome was read and which is not in use yet. */
export interface Attached {
  readonly socket: Socket;
  readonly welcome: wire.Welcome;
  /** What is queued was written on this very socket already. */
  readonly eager: boolean;
}

export class Dialler {
  /** From when the grace counts. */
  #startMs = 0;

  constructor(
    private readonly greeting: Greeting,
    private readonly gate: Passage,
    private readonly lastReceived: () => number,
    private readonly tap: Tap,
    private readonly waits: (message?: wire.Waiting) => void = () => {},
  ) {}

  /** Opens the first socket of a session; rejects with the server's reason where it gives one. */
  async openFirst(scope: Scope, timeoutMs: number): Promise<Socket> {
    const url = this.greeting.addresses.first;
    try {
      return await Socket.dial(scope, url, timeoutMs, this.gate);
    } catch (error) {
      if (!(error instanceof VoxwireError)) throw error;
      const explain = await scope.env.load(import("./explain.js")).catch(() => undefined);
      throw (await explain?.explained(scope, url, error)) ?? error;
    }
  }

  greet(socket: Socket): void {
    const hello = this.greeting.hello(this.lastReceived());
    this.tap("out", hello);
    socket.send(wire.encodeEnvelope(hello));
  }

  /** Dials the session's addresses, round after round, until a server welcomes us, at most for the
   * session's grace.
   *
   * @param trying - Is told the number of every try, from 1, before it.
   * @returns How many tries it took, and the socket. Rejects with why there is none. */
  async comeBack(
    scope: Scope,
    cause: VoxwireError,
    trying: (attempt: number, cause: VoxwireError) => void,
  ): Promise<{ attempt: number; attached: Attached }> {
    const { env } = scope;
    const { addresses, graceMs } = this.greeting;
    this.#startMs = env.now();
    const leftMs = () => Math.max(0, graceMs - (env.now() - this.#startMs));
    let [round, beganMs, advisedMs] = [0, this.#startMs, 0];
    let urls: readonly string[] = [];
    for (let attempt = 1; ; attempt++) {
      trying(attempt, cause);
      if (urls.length === 0) {
        round += 1;
        const delayMs = backoffMs(round, env.jitter()) - (env.now() - beganMs);
        await pause(scope, Math.min(Math.max(delayMs, advisedMs), leftMs()), advisedMs);
        [urls, beganMs, advisedMs] = [addresses.order, env.now(), 0];
      }
      const [url = "", ...others] = urls;
      if (leftMs() === 0) throw expired(env.now() - this.#startMs, cause);
      try {
        return { attempt, attached: await this.attach(scope, url, leftMs()) };
      } catch (error) {
        if (!(error instanceof Lost || error instanceof Refusal)) throw error;
        cause = error.error;
        urls = error instanceof Refusal && error.sentOn ? [] : others;
      }
      if (this.#endsWith(cause, url)) throw cause;
      advisedMs = Math.max(advisedMs, cause.retryAfterMs);
    }
  }

  /** Tries the session's addresses once. Rejects with `Lost` or `Refusal`. */
  async attachAnywhere(scope: Scope): Promise<Attached> {
    const [at = "", first] = this.greeting.addresses.order;
    try {
      return await this.attach(scope, at);
    } catch (error) {
      if (first === undefined || scope.closed || this.#endsWith(asError(error), at)) throw error;
      return this.attach(scope, first);
    }
  }

  /** True when there is no coming back; what was said elsewhere the first URL may not say. */
  #endsWith(error: VoxwireError, url: string): boolean {
    if (error.code === "superseded") return true;
    return isFinal(error, true) && !this.greeting.addresses.refused(url);
  }

  /** Opens one socket and says Hello on it. Rejects with `Lost` or `Refusal`. */
  async attach(parent: Scope, url: string, leftMs = DIAL_MS): Promise<Attached> {
    const { addresses } = this.greeting;
    const timeoutMs = Math.min(url === addresses.first ? DIAL_MS : MOVED_MS, leftMs);
    const scope = new Scope(parent.env, parent);
    const unbound = scope.after(timeoutMs, () => scope.close(late()));
    let socket: Socket | undefined;
    try {
      socket = await this.#openPromptly(scope, url, timeoutMs);
      this.greet(socket);
      return { socket, welcome: await this.readWelcome(scope, socket, unbound), eager: false };
    } catch (error) {
      socket?.abort();
      if (parent.closed) throw error;
      if (!(error instanceof Refusal && error.sentOn)) addresses.failed(url);
      if (error instanceof Lost || error instanceof Refusal) throw error;
      const failure = asError(error);
      if (/^(unauthorized|forbidden)$/.test(failure.code)) throw new Refusal(failure);
      throw new Lost(lost(failure.reason, failure));
    } finally {
      scope.close();
    }
  }

  /** Opens a socket; dials again beside a dial that takes long. */
  async #openPromptly(parent: Scope, url: string, timeoutMs: number): Promise<Socket> {
    const scope = new Scope(parent.env, parent);
    let chosen: Socket | undefined;
    let dials = 0;
    const dialOne = (resolve: (socket: Socket) => void, reject: (error: unknown) => void) => {
      dials += 1;
      Socket.dial(scope, url, timeoutMs, this.gate).then((socket) => {
        if (chosen || scope.closed) return socket.abort();
        chosen = socket;
        return resolve(socket);
      }, reject);
      if (dials < MAX_DIALS) scope.after(AGAIN_MS, () => dialOne(resolve, reject));
    };
    try {
      return await scope.wait<Socket>(dialOne);
    } finally {
      scope.close();
    }
  }

  /** Reads the first message; anything but an answer to Hello is passed over. `unbound` is called
   * when the server has this client wait: it has answered. A wait that breaks is told. */
  async readWelcome(scope: Scope, socket: Socket, unbound?: () => void): Promise<wire.Welcome> {
    let sentOn = false;
    let silentMs: number | undefined;
    try {
      for (;;) {
        const data = await scope.race(socket.read(scope), silentMs, late);
        let envelope: wire.Envelope;
        try {
          envelope = wire.decodeEnvelope(typeof data === "string" ? new Uint8Array() : data);
        } catch {
          continue;
        }
        const { payload } = envelope;
        this.tap("in", envelope);
        if (payload.case === "welcome") {
          socket.openedMs = socket.lastReceivedMs; // until now nothing was to be acknowledged
          return payload.value;
        }
        if (payload.case === "waiting") {
          silentMs = SILENT_MS;
          unbound?.();
          this.waits(payload.value);
        }
        if (payload.case === "goAway") {
          sentOn = this.greeting.addresses.sentOn(payload.value.resumeUrl, socket.url);
        }
        if (payload.case === "error") throw new Refusal(errorFromWire(payload.value), sentOn);
        if (payload.case === "sessionEnded") {
          throw new Refusal(makeError("connection_lost", "the session ended before it was ready"));
        }
      }
    } catch (error) {
      if (silentMs) {
        this.#startMs = scope.env.now(); // the time in the queue is none of the grace
        this.waits();
      }
      throw error;
    }
  }
}

/** Waits; a network that says that it is back ends it, unless the server asked for patience. */
async function pause(scope: Scope, ms: number, advisedMs: number): Promise<void> {
  await scope.wait<void>((resolve) => {
    const stop = [
      scope.after(ms, resolve),
      advisedMs > 0 ? () => {} : scope.env.onOnline(() => resolve()),
    ];
    return () => {
      for (const fn of stop) fn();
    };
  });
}
