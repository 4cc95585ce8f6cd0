/** One life of a client: from `connect` until everything of it is released. */
import { makeError, type VoxwireError, type Waiting } from "@voxwire/protocol";
import type { ClientStatus, CloseReason, ConnectOptions } from "../api.js";
import type { Media, MediaHost } from "../media/media.js";
import { asError } from "./attach.js";
import type { Environment } from "./environment.js";
import type { SessionOptions } from "./peer.js";
import { Scope } from "./scope.js";
import { Session, type SessionHost } from "./session.js";
import { isLoopback } from "./url.js";

const CONNECT_MS = 15_000;
/** Longest wait for a place, milliseconds. */
const WAITING_MS = 120_000;
/** How long the media may take to let go, milliseconds. */
const RELEASE_MS = 500;
const QUALITY_MS = 1000;

/** What a life needs of its client. */
export interface RunHost
  extends Omit<SessionHost, "mediaStarted" | "stage" | "reconnecting" | "up" | "waits"> {
  readonly media: Media;
  setStatus(status: ClientStatus): void;
  /** Everything of a session but its token. Throws when the options cannot be used. */
  sessionOptions(): Omit<SessionOptions, "token">;
  /** Asks the program for a token. */
  token(reason: "connect" | "refused", signal: AbortSignal): Promise<string>;
  /** True when the program can be asked for another token. */
  readonly canRenewToken: boolean;
  /** Once a second while a session is up. */
  measure(session: Session): void;
  /** Nothing is left. */
  released(): void;
}

export class Run {
  session: Session | undefined;
  /** Resolves when nothing is left. */
  readonly closed: Promise<void>;
  readonly #scope: Scope;
  /** Outlives the scope by the time that letting go takes. */
  readonly #last: Scope;
  #stage = "token";
  #up = false;
  #closing = false;
  #finishing = false;
  #mediaStarted = false;
  #settleClosed: () => void = () => {};
  /** The deadline stands still while the server has this client wait. */
  #waits: (waiting?: Waiting) => void = () => {};

  constructor(
    env: Environment,
    private readonly host: RunHost,
  ) {
    this.#scope = new Scope(env);
    this.#last = new Scope(env);
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
  }

  /** True once it is ending. */
  get closing(): boolean {
    return this.#closing || this.#scope.closed;
  }

  /** Resolves when the session is up. Rejects with why not; nothing is left then.
   *
   * @param sinceMs - From when the deadline counts. */
  async open(
    { signal, timeoutMs = CONNECT_MS, waitingMs = WAITING_MS }: ConnectOptions,
    sinceMs = this.#last.env.now(),
  ): Promise<void> {
    const aborted = () => this.#scope.close(signal?.reason);
    signal?.addEventListener("abort", aborted);
    const { env } = this.#last;
    let fromMs = env.now();
    const dials = { ms: timeoutMs, leftMs: timeoutMs - (fromMs - sinceMs) };
    const queues = { ms: waitingMs, leftMs: waitingMs };
    let runs = dials;
    const bound = () =>
      this.#scope.after(runs.leftMs, () => this.#scope.close(this.#late(runs.ms)));
    let cancel = bound();
    let shown = "";
    this.#waits = (waiting) => {
      const place = waiting ? `${waiting.position} ${waiting.estimatedMs}` : "";
      if (!place !== !shown) {
        cancel();
        const now = env.now();
        runs.leftMs -= now - fromMs;
        fromMs = now;
        runs = waiting ? queues : dials;
        cancel = bound();
      }
      if (waiting && place !== shown) {
        this.host.setStatus({ status: "connecting", stage: "place", waiting });
      }
      shown = place;
    };
    try {
      if (signal?.aborted) throw signal.reason;
      const session = await this.#connect(timeoutMs, waitingMs > 0);
      void session.ended.then(({ reason, error }) => this.#finish(reason, error));
    } catch (error) {
      const ours = signal?.aborted && error === signal.reason;
      await this.#finish(ours || error === HUNG_UP ? "client" : "error", error);
      throw error === HUNG_UP ? hungUp() : error;
    } finally {
      cancel();
      signal?.removeEventListener("abort", aborted);
    }
  }

  /** Ends it; resolves, within 2 s, when nothing is left. */
  async disconnect(reason: string): Promise<void> {
    if (!this.#finishing) {
      if (this.#up) {
        this.#close();
        await this.session?.bye(reason);
        await this.#finish("client");
      } else {
        this.#scope.close(HUNG_UP);
      }
    }
    await this.closed;
  }

  async #connect(timeoutMs: number, waits: boolean): Promise<Session> {
    this.#show("token");
    const options = this.host.sessionOptions();
    this.#mediaStarted = true;
    const mediaStarted = this.host.media.start(this.#mediaHost(isLoopback(options.url)));
    mediaStarted.catch(() => {});
    for (let asked: "connect" | "refused" = "connect"; ; asked = "refused") {
      const token = await this.#scope.race(this.host.token(asked, this.#scope.signal));
      const session = new Session(
        this.#scope,
        { ...options, token, waits },
        this.#host(mediaStarted),
      );
      this.session = session;
      session.start(timeoutMs);
      try {
        await this.#scope.race(Promise.race([session.ready, failureOf(mediaStarted)]));
        return session;
      } catch (error) {
        const renew = asError(error).code === "unauthorized" && this.host.canRenewToken;
        if (this.#scope.closed || !renew || asked === "refused") throw error;
        await session.stop(this.#last, error);
      }
    }
  }

  #host(mediaStarted: Promise<void>): SessionHost {
    const run = this;
    return {
      ...this.host,
      media: this.host.media,
      gate: this.host.gate,
      tools: this.host.tools,
      mediaStarted,
      stage: (stage) => {
        run.#waits();
        run.#show(stage);
      },
      waits(message) {
        if (!message) this.stage("server");
        else run.#waits({ position: message.position, estimatedMs: message.estimatedMs });
      },
      reconnecting: (attempt, cause) => {
        if (!run.#closing) run.host.setStatus({ status: "reconnecting", attempt, cause });
      },
      up({ sessionId, bot }) {
        if (run.#closing) return;
        if (!run.#up) run.#begin();
        run.#up = true;
        run.host.setStatus({ status: "ready", sessionId, bot });
      },
    };
  }

  #mediaHost(loopback: boolean): MediaHost {
    return {
      loopback,
      signal: this.#scope.signal,
      emit: (type, event) => {
        if (!this.#finishing) this.host.emit(type, event);
      },
      send: (payload) => {
        try {
          return payload.case ? (this.session?.send(payload) ?? false) : false;
        } catch (error) {
          this.host.failed(error, "media");
          return false;
        }
      },
    };
  }

  /** The session is up for the first time. */
  #begin(): void {
    this.#scope.defer(this.#scope.env.onLeave(() => this.session?.leave()));
    this.#measure();
  }

  #measure(): void {
    this.#scope.after(QUALITY_MS, () => {
      if (this.session && !this.#closing) this.host.measure(this.session);
      this.#measure();
    });
  }

  #show(stage: string): void {
    this.#stage = stage;
    if (!this.#up && !this.closing) this.host.setStatus({ status: "connecting", stage });
  }

  #close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.host.setStatus({ status: "closing" });
  }

  #late(timeoutMs: number): VoxwireError {
    if (this.session) return this.session.timedOut(timeoutMs);
    return makeError("timeout", `no ${this.#stage} within ${timeoutMs / 1000} s`, {
      retryable: true,
    });
  }

  async #finish(reason: CloseReason, error?: unknown): Promise<void> {
    if (this.#finishing) return this.closed;
    this.#finishing = true;
    this.#close();
    const why = error ?? makeError("invalid_state", "the session has ended");
    try {
      await Promise.all([this.session?.stop(this.#last, why), this.#release()]);
    } catch (failure) {
      this.host.failed(failure, "disconnect");
    }
    this.#scope.close(why);
    this.#last.close();
    this.host.gate.clear();
    this.host.released();
    const shown = reason === "error" || reason === "expired" ? { error: asError(error) } : {};
    this.host.setStatus({ status: "closed", reason, ...shown });
    this.#settleClosed();
  }

  async #release(): Promise<void> {
    if (!this.#mediaStarted) return;
    const late = () => makeError("timeout", "the media did not let go in time");
    await this.#last.race(this.host.media.stop(), RELEASE_MS, late);
  }
}

const HUNG_UP = Symbol("disconnect() was called");
const hungUp = () => makeError("invalid_state", "disconnect() was called while connecting");

/** Rejects when the promise does; never resolves. */
function failureOf(promise: Promise<void>): Promise<never> {
  return new Promise((_, reject) => {
    promise.catch(reject);
  });
}
