/**
 * The seam between a session and what is at its other end: a Voxwire server (`voxwire-peer.ts`), or
 * what a program names as `peer`, which is an entry of its own (`rtvi/`). Types only.
 */
import type { VoxwireError, wire } from "@voxwire/protocol";
import type { Feature } from "../api.js";
import type { PathWiring } from "../media/media.js";
import type { ControlHandler } from "./control.js";
import type { Scope } from "./scope.js";
import type { SessionHost, SessionOptions } from "./session.js";

/** What a session asks of its control channel. */
export interface ControlChannel {
  /** What the peer can do, as far as it has said. */
  readonly features: ReadonlySet<Feature>;
  /** What paths of this peer need beside the offer. */
  readonly wiring?: PathWiring | undefined;
  /** Resolves when paths may be asked for; undefined = from the beginning. */
  readonly started?: Promise<void> | undefined;
  readonly clock: { readonly rttUs: number | undefined };
  readonly droppedMessages: number;
  /** Why the channel does not stand now; undefined while it does. */
  readonly failure: VoxwireError | undefined;
  /** True once the peer has said that it keeps the session when its channel is lost. */
  readonly resumable: boolean;
  /** Messages each way, for a bug report. */
  readonly numbers: { readonly lastReceived: number; readonly lastSent: number };
  /** Sends a message, or keeps it; false when it was not taken, as audio and reports may be.
   * Throws a VoxwireError. */
  send(payload: wire.PayloadInit): boolean;
  /** Attaches, and stays so until it is over; rejects with why, never resolves. */
  run(dialMs: number): Promise<never>;
  /** From here on a lost channel is the end. */
  finish(): void;
  /** The server will close this channel, and the session goes on; empty = the same URL. */
  move(url: string): void;
  /** The server says why it will close this channel. */
  condemn(error: VoxwireError): void;
  /** Cuts the channel, as a broken network would. */
  drop(): void;
  /** Closes the channel, within 0.5 s. `scope` is what is left when the session's is over. */
  close(scope: Scope): Promise<void>;
}

/** What a peer is given for a session. */
export interface PeerParts {
  readonly scope: Scope;
  readonly options: SessionOptions;
  readonly host: SessionHost;
  readonly handler: ControlHandler;
}

/** What a client talks to; `pipecatBot()` of `@voxwire/client/rtvi` makes one. */
export interface Peer {
  /** How many carriers may be tried, best first; undefined = all. */
  readonly maxCarriers?: number;
  /** Where it is, absolute; throws a UsageError. */
  locate(url: string | URL, base: string | undefined): string;
  /** Makes the control channel of a session; nothing is sent yet. */
  open(parts: PeerParts): ControlChannel;
}
