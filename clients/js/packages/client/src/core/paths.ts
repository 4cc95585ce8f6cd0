/** The media paths of a session: one in use, and what comes in its place when it breaks. */
import { VoxwireError } from "@voxwire/protocol";
import type { CarrierName, MediaPath, Payload } from "../media/media.js";
import { givenUp } from "../media/readiness.js";
import { asError, lost } from "./attach.js";
import type { Opening, Send } from "./opening.js";
import { Scope } from "./scope.js";

/** How long the last rung of the ladder may take once the session is up, milliseconds. */
const LAST_MS = 8000;
/** Waits before the ladder is climbed again; when it fails once more the session does. */
const RETRY_MS = [0, 500, 1000, 2000, 4000];
/** After this long on WebSocket audio WebRTC is tried again; then after twice as long, ... */
const UPGRADE_MS = 15_000;
const MAX_UPGRADE_MS = 120_000;
const OVERTAKEN = "the server went over to a path that was given up";

export interface PathsOptions {
  /** What may carry the audio, best first. */
  readonly carriers: readonly CarrierName[];
  /** True = another path is opened when one breaks; false = that is the end. */
  readonly keep: boolean;
  readonly send: Send;
  /** Another path is in use from now on. */
  use(path: MediaPath): void;
  /** The path in use is no more, or is to be replaced. */
  broke(error: VoxwireError): void;
}

/** Keeps a path for a session. */
export class Paths {
  /** The path in use, or the last one while there is none. */
  opened: MediaPath | undefined;
  #attached = true; // the first path is asked for together with the session
  #broken: VoxwireError | undefined;
  #known = false; // the server knows that the path in use is no more
  #climbing: Scope | undefined;
  #failures = 0;
  #hadWebRtc = false;
  #upgradeMs = UPGRADE_MS;
  #upgradeAtMs: number | undefined;
  #wake: (() => void) | undefined;

  constructor(
    private readonly scope: Scope,
    private readonly opening: Opening,
    private readonly options: PathsOptions,
  ) {}

  /** True while no path carries audio. */
  get broken(): boolean {
    return this.opened === undefined || this.#broken !== undefined;
  }

  /** Takes a message about a path; one about a path that is gone is ignored. */
  receive(payload: Payload, pathId: number): void {
    const opened = this.opened;
    if (opened === undefined || pathId !== opened.pathId) {
      const tried = this.opening.receive(payload, pathId);
      if (opened === undefined || payload.case !== "pathReady") return;
      this.#known = true; // to the server it has replaced the one in use
      if (!tried) this.#break(lost(OVERTAKEN), true);
      return;
    }
    if (payload.case === "pathClose") this.#break(lost(givenUp(payload.value).reason), true);
    opened.receive(payload);
  }

  /** The control channel is gone, and with it audio over WebSocket and what was asked for. */
  detached(): void {
    this.#attached = false;
    const { opened } = this;
    opened?.doubt();
    if (opened?.carrier === "websocket") {
      this.#break(lost("the control channel that carried the audio was lost"), true);
    }
    this.#abandon();
  }

  /** The control channel is there. `anew` = positions may have been lost: open a new path. */
  attached(anew: boolean): void {
    this.#attached = true;
    if (anew && this.opened) this.#break(lost("the session went on from a snapshot"));
    this.#wake?.();
  }

  /** Lets the path in use fall silent without telling anybody; false if it cannot. */
  drop(): boolean {
    if (this.opened === undefined || this.opened.carrier === "websocket") return false;
    this.opened.drop();
    return true;
  }

  /** Keeps a path until the scope ends; rejects when none is to be had. */
  async run(): Promise<never> {
    for (;;) {
      const carriers = this.#wanted();
      if (carriers.length > 0 && this.#attached) await this.#climb(carriers);
      else await this.#wait();
    }
  }

  /** Gives up what is left; may be called again. */
  close(): void {
    this.opening.close();
    this.opened?.close();
  }

  /** What is to be tried now; nothing while all is well. */
  #wanted(): readonly CarrierName[] {
    if (this.#broken && !this.options.keep) throw this.#broken;
    if (this.broken) return this.options.carriers;
    const due = this.#upgradeAtMs;
    return due !== undefined && this.scope.env.now() >= due ? ["webrtc"] : [];
  }

  /** Tries for a path, unless the control channel is lost meanwhile. */
  async #climb(carriers: readonly CarrierName[]): Promise<void> {
    const first = this.opened === undefined;
    const scope = new Scope(this.scope.env, this.scope);
    this.#climbing = scope;
    try {
      await scope.sleep(RETRY_MS[this.#failures] ?? 0);
      const path = await this.opening.climb(scope, carriers, first ? undefined : LAST_MS);
      this.#take(path);
      const { givenUp } = this.opening;
      if (givenUp) this.#break(lost(givenUp.reason), true); // right behind its PathReady
    } catch (error) {
      if (this.scope.closed) throw error;
      if (scope.closed) return;
      if (first || !(error instanceof VoxwireError)) throw asError(error);
      this.#fail(error);
    } finally {
      this.#climbing = undefined;
      scope.close();
    }
  }

  /** Puts a path in use; the one before is given up. */
  #take(path: MediaPath): void {
    const before = this.opened;
    const known = this.#known;
    this.opened = path;
    this.#broken = undefined;
    this.#known = false;
    this.#failures = 0;
    this.#planUpgrade(path);
    path.lost.then(
      (error) => this.opened === path && this.#break(error),
      () => {},
    );
    this.options.use(path);
    if (before === undefined || known) return;
    try {
      this.options.send({ case: "pathClose", value: { pathId: before.pathId } });
    } catch (error) {
      if (!(error instanceof VoxwireError)) throw error;
    }
  }

  /** WebRTC that was had and lost is tried again later. */
  #planUpgrade(path: MediaPath): void {
    this.#upgradeAtMs = undefined;
    if (path.carrier === "webrtc") {
      this.#upgradeMs = UPGRADE_MS;
      this.#hadWebRtc = true;
    } else if (this.#hadWebRtc && this.options.carriers.includes("webrtc")) {
      this.#upgradeAtMs = this.scope.env.now() + this.#upgradeMs;
      this.#upgradeMs = Math.min(2 * this.#upgradeMs, MAX_UPGRADE_MS);
    }
  }

  /** Notes that the path in use is to be replaced; WebRTC carries on while it can. */
  #break(error: VoxwireError, known = false): void {
    if (this.scope.closed) return;
    if (this.opened && !this.#broken) this.options.broke(error);
    this.#broken ??= error;
    this.#known ||= known;
    this.#wake?.();
    if (this.#upgradeAtMs !== undefined) {
      this.#upgradeAtMs = undefined;
      this.#abandon();
    }
  }

  /** Ends the climb that is going on. */
  #abandon(): void {
    this.#climbing?.close(lost("the control channel was lost"));
  }

  /** Notes that the ladder led nowhere; throws when it did so too often. */
  #fail(error: VoxwireError): void {
    if (!this.broken) {
      // Only the way back to WebRTC failed, unless the server had taken it.
      if (this.#known) this.#break(lost(OVERTAKEN));
      else if (this.opened) this.#planUpgrade(this.opened);
      return;
    }
    this.#failures += 1;
    if (this.#failures === RETRY_MS.length) throw error;
  }

  /** Waits until something has changed, or WebRTC is to be tried again. */
  #wait(): Promise<void> {
    return this.scope.wait<void>((resolve) => {
      this.#wake = resolve;
      if (this.#upgradeAtMs === undefined || !this.#attached) return;
      return this.scope.after(this.#upgradeAtMs - this.scope.env.now(), resolve);
    });
  }
}
