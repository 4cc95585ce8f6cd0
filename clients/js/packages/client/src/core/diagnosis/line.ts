/** A session as far as a diagnosis needs one: pings, a WebRTC path, what becomes of its packets. */
import {
  Channel,
  ChannelError,
  errorFromWire,
  makeError,
  type VoxwireError,
} from "@voxwire/protocol";
import * as wire from "@voxwire/protocol/wire";
import type { MediaChecks, TrialLook, TrialPath } from "../../media/media.js";
import { lossBetween } from "../../media/quality.js";
import { asError, Lost } from "../attach.js";
import { Scope } from "../scope.js";
import type { Socket } from "../socket.js";
import type { PathTried } from "./verdict.js";

/** How long packets are counted, milliseconds. */
export const ECHO_MS = 3000;
/** How long a path may take to come up. */
const PATH_MS = 4500;
const PINGS = 3;
const PING_EVERY_MS = 250;
const PATH_ID = 1;

const ENDS: { readonly [reason: number]: readonly [VoxwireError["code"], string] } = {
  [wire.EndReason.BOT]: ["invalid_state", "the bot ended the session"],
  [wire.EndReason.SERVER]: ["going_away", "the server is shutting down"],
};

/** The server has ended the session, and has said why. */
export class Ended extends Lost {}

/** What came of the packets of a path; undefined = not known. */
export interface Echo {
  /** By ICE, else the best ping. */
  readonly rttMs: number | undefined;
  readonly jitterMs: number | undefined;
  /** Packets that came from the server. */
  readonly received: number;
  /** Shares of the packets that were lost, 0 to 1. */
  readonly lostDown: number | undefined;
  readonly lostUp: number | undefined;
}

/** The control channel of a session that was welcomed. Whoever makes it closes it. */
export class Line {
  /** Why there is no session any more; undefined while there is one. */
  lost: Lost | undefined;
  readonly #scope: Scope;
  readonly #channel = new Channel({ allowed: wire.SERVER_PAYLOADS });
  readonly #pongs = new Map<number, () => void>();
  #number = 0;
  #bestMs: number | undefined;
  #lastError: VoxwireError | undefined;
  #path: TrialPath | undefined;

  constructor(
    scope: Scope,
    private readonly socket: Socket,
  ) {
    this.#scope = new Scope(scope.env, scope);
    this.#read().catch((error) => this.#lose(error instanceof Lost ? error : lostBy(error)));
  }

  /** What some work gives, which is given up with the session: rejects with `Lost`. */
  async whileItLasts<T>(work: (scope: Scope) => Promise<T>): Promise<T> {
    if (this.lost) throw this.lost;
    return this.#scope.race(work(this.#scope));
  }

  /** The best of three round trips, milliseconds. */
  async bestPing(scope: Scope): Promise<number> {
    for (let count = 0; count < PINGS; count++) await this.#ping(scope);
    return this.#bestMs ?? 0;
  }

  /** Opens a WebRTC path, as a session would. Takes 4.5 s at most. */
  async openPath(
    scope: Scope,
    checks: MediaChecks,
    iceServers: readonly RTCIceServer[],
  ): Promise<PathTried> {
    const began = scope.env.now();
    const options = { pathId: PATH_ID, iceServers, icePolicy: "all" } as const;
    const path = checks.path(options, (payload) => this.#send(payload));
    this.#path = path;
    const late = () =>
      path.trouble ?? makeError("ice_failed", "no UDP packet came back: ICE found no way");
    try {
      const up = async () => {
        this.#send({ case: "pathOpen", value: await path.offer() });
        await path.ready;
        return path.look();
      };
      const { relayed } = await scope.race(up(), PATH_MS, late);
      return { state: "up", relayed, tookMs: Math.round(scope.env.now() - began) };
    } catch (failure) {
      if (scope.closed) throw failure;
      const { code, reason } = asError(failure);
      if (code === "unsupported") return { state: "absent", detail: reason };
      const network = code === "ice_failed" || code === "turn_failed";
      return { state: "failed", detail: reason, network };
    }
  }

  /** Counts packets both ways for 3 s. */
  async echo(scope: Scope): Promise<Echo> {
    const path = this.#path;
    if (!path) throw makeError("internal", "there is no path");
    const before = await path.look();
    const stop = this.#pingOn(scope);
    let now: TrialLook;
    try {
      await scope.sleep(ECHO_MS);
      now = await path.look();
    } finally {
      stop();
    }
    return {
      rttMs: now.rttMs ?? this.#bestMs,
      jitterMs: now.jitterMs,
      received: now.received - before.received,
      lostDown: lossBetween([before.received, before.lost], [now.received, now.lost]),
      lostUp: now.lostUp,
    };
  }

  /** Closes the path and ends the session; within half a second. */
  async close(scope: Scope): Promise<void> {
    this.#path?.close();
    if (!this.lost) this.#send({ case: "bye", value: { reason: "a diagnosis" } });
    this.#scope.close();
    await this.socket.close(scope);
  }

  async #read(): Promise<void> {
    for (;;) {
      const data = await this.socket.read(this.#scope);
      if (typeof data !== "string") this.#take(data);
    }
  }

  #take(data: Uint8Array): void {
    const nowMs = this.#scope.env.now();
    for (const { payload } of this.#delivered(data, nowMs)) {
      switch (payload.case) {
        case "pong":
          this.#pongs.get(payload.value.number)?.();
          break;
        case "sessionEnded":
          this.#lose(new Ended(this.#whyEnded(payload.value.reason)));
          break;
        case "error":
          this.#lastError = errorFromWire(payload.value);
          if (payload.value.fatal) this.#lose(new Ended(this.#lastError));
          else this.#refused(payload.value);
          break;
        default:
          this.#path?.receive(payload);
      }
    }
    for (const bytes of this.#channel.outgoing(nowMs)) this.socket.send(bytes);
  }

  #delivered(data: Uint8Array, nowMs: number): readonly wire.Envelope[] {
    try {
      return this.#channel.receive(data, nowMs);
    } catch (error) {
      return error instanceof ChannelError ? error.delivered : [];
    }
  }

  #refused({ code, reason, subjectId }: wire.Error): void {
    if (subjectId !== "" && subjectId !== String(PATH_ID)) return; // it is about something else
    const value = wire.create(wire.PathCloseSchema, { pathId: PATH_ID, code, reason });
    this.#path?.receive({ case: "pathClose", value });
  }

  #whyEnded(reason: wire.EndReason): VoxwireError {
    if (reason === wire.EndReason.ERROR && this.#lastError) return this.#lastError;
    const [code, told] = ENDS[reason] ?? ["internal", "the server ended the session"];
    return makeError(code, told);
  }

  #lose(lost: Lost): void {
    if (this.lost) return;
    this.lost = lost;
    this.#scope.close(lost);
  }

  #send(payload: wire.PayloadInit): void {
    for (const bytes of this.#channel.send(wire.envelope(payload), this.#scope.env.now())) {
      this.socket.send(bytes);
    }
  }

  async #ping(scope: Scope): Promise<void> {
    this.#number += 1;
    const number = this.#number;
    const sentMs = scope.env.now();
    await scope.wait<void>((resolve) => {
      this.#pongs.set(number, resolve);
      this.#send({ case: "ping", value: { number } });
      return () => this.#pongs.delete(number);
    });
    const tookMs = scope.env.now() - sentMs;
    this.#bestMs = Math.min(this.#bestMs ?? tookMs, tookMs);
  }

  /** Pings until the returned function is called. */
  #pingOn(parent: Scope): () => void {
    const scope = new Scope(parent.env, parent);
    const on = async (): Promise<never> => {
      for (;;) {
        await this.#ping(scope);
        await scope.sleep(PING_EVERY_MS);
      }
    };
    on().catch(() => {});
    return () => scope.close();
  }
}

function lostBy(error: unknown): Lost {
  return new Lost(asError(error));
}
