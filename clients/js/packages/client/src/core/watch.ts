import type { Channel, ClockSync, VoxwireError } from "@voxwire/protocol";
import { type Greeting, Lost, lost } from "./attach.js";
import type { Attached } from "./dialler.js";
import { Scope } from "./scope.js";
import type { Socket } from "./socket.js";

const WATCH_MS = 100;
/** After a pause of this much between two looks what the server said may be there, unread. */
const STALL_MS = 2500;
/** Ping interval when the server names none, milliseconds. */
const HEARTBEAT_MS = 5000;
/** A server that says nothing for this long, or for three heartbeats, is gone. */
const SILENT_MS = 5000;
/** A message that is not acknowledged for this long makes the client dial a second socket. */
const UNACKNOWLEDGED_MS = 1000;
/** Longest such wait; it doubles as long as a second socket does not help. */
const MAX_PATIENCE_MS = 8000;

const stays = (): boolean => false;

export interface Watched {
  readonly clock: ClockSync;
  readonly channel: Channel;
  readonly greeting: Greeting;
  over(): boolean;
  ping(): void;
  attach(scope: Scope): Promise<Attached>;
}

/** Looks after a socket: pings, notices a silent server, dials a second socket when messages get
 * stuck. */
export class Watch {
  #silentMs = SILENT_MS;
  #pingMs = HEARTBEAT_MS / 3;
  #patienceMs = UNACKNOWLEDGED_MS;
  /** True when the session is to move over to another server now; asked until it is. */
  leaving = stays;
  #moves = false; // that is what the second socket is for
  #second: Scope | undefined;
  /** Our own Hello on the second socket has closed the first one. */
  #condemned: VoxwireError | undefined;
  #acknowledged = 0;
  #progressMs = 0;

  constructor(private readonly watched: Watched) {}

  /** Takes the interval that Welcome names; 0 = none. */
  heartbeat(ms: number): void {
    const heartbeatMs = Math.min(Math.max(ms || HEARTBEAT_MS, 500), 30_000);
    this.#silentMs = Math.min(3 * heartbeatMs, SILENT_MS);
    this.#pingMs = Math.min(heartbeatMs, Math.floor(this.#silentMs / 3));
  }

  /** Waits longer before the next second socket: one that is slow may be no better. A move says
   * nothing of that. */
  bePatient(): void {
    if (!this.#moves) this.#patienceMs = Math.min(2 * this.#patienceMs, MAX_PATIENCE_MS);
  }

  reset(): void {
    this.#patienceMs = UNACKNOWLEDGED_MS;
  }

  /** Watches a socket until the scope ends.
   *
   * @param moved - A second socket was welcomed; the first is to be given up.
   * @param gone - The socket is taken for lost. */
  start(
    scope: Scope,
    socket: Socket,
    moved: (attached: Attached) => void,
    gone: (error: Lost) => void,
  ): void {
    const { env } = scope;
    this.leaving = stays;
    this.#second = this.#condemned = undefined;
    let pingAtMs = 0;
    let lookedMs = env.now();
    const look = () => {
      const now = env.now();
      const stalled = now - lookedMs > STALL_MS;
      lookedMs = now;
      const silentMs = now - socket.lastReceivedMs;
      if (!stalled && silentMs > this.#silentMs) {
        const seconds = (silentMs / 1000).toFixed(0);
        gone(new Lost(lost(`the server has been silent for ${seconds} s`)));
        return;
      }
      if (now >= Math.min(this.watched.clock.nextPingMs(now), pingAtMs)) {
        pingAtMs = now + this.#pingMs;
        this.watched.ping();
      }
      const stuck = this.#isStuck(socket, now);
      if (this.#second) {
        // Not once its Hello is out: the server may have moved over.
        if (!(stuck || this.#moves || this.watched.greeting.unanswered)) this.#second.close();
      } else if (!stalled) {
        this.#moves = this.leaving();
        if (this.#moves) this.leaving = stays;
        if (stuck || this.#moves) this.#dial(scope, moved, gone);
      }
      scope.after(WATCH_MS, look);
    };
    look();
  }

  /** True for a loss that our own Hello on a second socket has caused: its Welcome is on its way,
   * and where it does not come the first socket is gone. */
  hasCaused(error: VoxwireError): boolean {
    if (error.code !== "superseded" || !this.#second || !this.watched.greeting.unanswered)
      return false;
    this.#condemned = error;
    return true;
  }

  #dial(scope: Scope, moved: (attached: Attached) => void, gone: (error: Lost) => void): void {
    const own = new Scope(scope.env, scope);
    this.#second = own;
    this.watched.attach(own).then(
      (attached) => {
        if (own.closed) attached.socket.abort();
        else moved(attached);
      },
      () => {
        if (scope.closed) return;
        this.bePatient();
        own.close();
        this.#second = undefined;
        if (this.#condemned) gone(new Lost(this.#condemned));
      },
    );
  }

  /** True when something waits and the server has acknowledged nothing for too long. */
  #isStuck(socket: Socket, now: number): boolean {
    const { channel, greeting, clock } = this.watched;
    const sinceMs = channel.waitingSinceMs;
    if (sinceMs === undefined || !greeting.resumable || this.watched.over()) return false;
    const acknowledged = channel.lastSent - channel.unacknowledged;
    if (acknowledged !== this.#acknowledged) {
      this.#acknowledged = acknowledged;
      this.#progressMs = now;
    }
    const patienceMs = Math.max(this.#patienceMs, (3 * (clock.rttUs ?? 0)) / 1000);
    return now - Math.max(sinceMs, socket.openedMs, this.#progressMs) > patienceMs;
  }
}
