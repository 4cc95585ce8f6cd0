/** The ladder of media paths: one after the other is asked for, until one is ready. */
import { makeError, VoxwireError } from "@voxwire/protocol";
import * as wire from "@voxwire/protocol/wire";
import type { CarrierName, Media, MediaPath, PathWiring, Payload } from "../media/media.js";
import { givenUp } from "../media/readiness.js";
import type { IceChoice } from "./ice.js";
import { Scope } from "./scope.js";

/** How long a path may take while there is another one to try, milliseconds. */
const RUNG_MS = 3000;
/** The same once the session is up: the bot's voice waits for 2 s, whatever carries it then. */
const AGAIN_MS = 700;

export type Send = (payload: wire.PayloadInit) => void;

/** Asks for media paths until one is ready. One climb at a time. */
export class Opening {
  /** What is waited for, for the error of a session that did not open in time. */
  stage = "no answer to Hello, or no WebSocket (a dev server needs ws: true)";
  /** The server gave up the path that was tried last, ready or not. */
  givenUp: VoxwireError | undefined;
  #path: MediaPath | undefined;
  #pathId = 0;
  #servers: wire.IceServersUpdate | undefined;
  #welcomed = false;
  #onWelcome: (() => void)[] = [];

  constructor(
    private readonly media: Media,
    private readonly ice: IceChoice,
    private readonly send: Send,
    private readonly wiring?: PathWiring,
  ) {}

  /** Notes that Welcome came, and which STUN and TURN servers it names. */
  welcome(servers: readonly wire.IceServer[]): void {
    this.stage = "no media path was asked for";
    this.updateIce(servers);
    this.#welcomed = true;
    for (const fn of this.#onWelcome.splice(0)) fn();
  }

  updateIce(iceServers: readonly wire.IceServer[]): void {
    this.ice.learn(iceServers);
    this.#servers = wire.create(wire.IceServersUpdateSchema, { iceServers: [...iceServers] });
    this.#path?.receive({ case: "iceServersUpdate", value: this.#servers });
  }

  /** The error for a session that did not open in time: what is known to be wrong, else what was
   * waited for. */
  timedOut(timeoutMs: number): VoxwireError {
    const reason = `${this.stage} within ${timeoutMs / 1000} s`;
    return this.#path?.trouble ?? makeError("timeout", reason, { retryable: true });
  }

  /** Takes a message about a path; false when none of that number is being tried. */
  receive(payload: Payload, pathId: number): boolean {
    if (this.#path === undefined || pathId !== this.#pathId) return false;
    if (payload.case === "pathClose") this.givenUp = givenUp(payload.value);
    this.#path.receive(payload);
    return true;
  }

  /** Takes an error that came before the path was ready and does not end the session. */
  refuse(error: wire.Error): void {
    if (error.subjectId !== "" && error.subjectId !== String(this.#pathId)) return;
    const { code, reason } = error;
    const value = wire.create(wire.PathCloseSchema, { pathId: this.#pathId, code, reason });
    this.receive({ case: "pathClose", value }, this.#pathId);
  }

  /** The first path that becomes ready; it is the caller's then. Ended or failed, what was tried
   * is given up and the server is told.
   *
   * @param lastMs - How long the last may take; undefined = the session opens under a deadline. */
  async climb(
    scope: Scope,
    carriers: readonly CarrierName[],
    lastMs: number | undefined,
  ): Promise<MediaPath> {
    let failure: unknown;
    for (const [number, carrier] of carriers.entries()) {
      const last = number === carriers.length - 1;
      const limitMs = last ? lastMs : lastMs === undefined ? RUNG_MS : AGAIN_MS;
      try {
        return await this.#try(scope, carrier, limitMs);
      } catch (error) {
        this.close();
        if (scope.closed) throw error;
        failure = error;
      }
    }
    throw failure;
  }

  /** Gives up the path that is being tried. */
  close(): void {
    const path = this.#path;
    this.#path = undefined;
    if (path === undefined) return;
    try {
      this.send({ case: "pathClose", value: { pathId: path.pathId } });
    } catch (error) {
      // The server has more to read than it takes; it drops the path in the end.
      if (!(error instanceof VoxwireError)) throw error;
    } finally {
      path.close();
    }
  }

  async #try(parent: Scope, carrier: CarrierName, limitMs: number | undefined): Promise<MediaPath> {
    const scope = new Scope(parent.env, parent);
    const late = () => makeError("timeout", `the ${carrier} media path took too long`);
    const bound = () => limitMs !== undefined && scope.after(limitMs, () => scope.close(late()));
    this.#welcome(scope).then(bound, () => {}); // the server may have it wait for a place
    try {
      this.#pathId += 1;
      this.givenUp = undefined;
      // Relayed candidates need the servers that Welcome names; a loopback needs none.
      if (carrier === "webrtc" && this.ice.wanted) await this.#welcome(scope);
      const options = { pathId: this.#pathId, ...this.ice.options, ...this.wiring };
      const path = this.media.path(carrier, options);
      this.#path = path;
      path.ready.catch(() => {}); // it may fail while nobody waits
      const offered = path.offer(scope.signal);
      if (this.#servers) path.receive({ case: "iceServersUpdate", value: this.#servers });
      const value = await scope.race(offered);
      this.send({ case: "pathOpen", value });
      await this.#welcome(scope);
      this.stage = `the ${carrier} media path did not become ready`;
      await scope.race(path.ready);
      this.#path = undefined;
      return path;
    } finally {
      scope.close();
    }
  }

  async #welcome(scope: Scope): Promise<void> {
    if (!this.#welcomed) await scope.wait<void>((resolve) => void this.#onWelcome.push(resolve));
  }
}
