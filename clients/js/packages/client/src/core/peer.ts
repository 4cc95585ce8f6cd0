/**
 * The seam between a session and what is at its other end: a Voxwire server (`voxwire-peer.ts`), or
 * what a program names as `peer`, which is an entry of its own (`rtvi/`). Types only.
 */
import type { ClientEvents, VoxwireError, wire } from "@voxwire/protocol";
import type { CarrierName, Media, PathWiring } from "../media/media.js";
import type { GreetingOptions } from "./attach.js";
import type { Scope } from "./scope.js";
import type { Tool } from "./tool-shape.js";

/** What the other end of a session can do. What is not among its features it cannot do, and nothing
 * is made up in its place: a page hides it. */
export type Feature =
  /** `interrupt()` cuts the bot off. */
  | "interrupt"
  /** A lost connection comes back, and the session goes on. */
  | "reconnect"
  /** And nothing that was said meanwhile is lost. */
  | "replay"
  /** Words have times of their own; else those of their arrival (source "arrival"). */
  | "word_times"
  /** The bot is told what was heard, and remembers that. */
  | "heard_words"
  /** Tools of this client are told to the bot; else it must have them under the same names. */
  | "tool_declarations"
  /** `ToolCall.progress` reaches the bot. */
  | "tool_progress"
  /** `userActivity()` reaches the server. */
  | "user_activity"
  /** Round trips are measured on the control channel. */
  | "clock";

/** Sees every envelope, both ways. */
export type Tap = (direction: "in" | "out", envelope: wire.Envelope) => void;

/** What messages pass through, each way on its own; a simulated network keeps them there. */
export interface Passage {
  readonly in: { let(pass: () => void): void };
  readonly out: { let(pass: () => void): void };
  /** Forgets what waits: its session is over. */
  clear(): void;
}

/** How a session is opened. */
export interface SessionOptions extends Omit<GreetingOptions, "tools" | "webrtc" | "daily"> {
  readonly carriers: readonly CarrierName[];
  readonly iceServers: readonly RTCIceServer[] | undefined;
  readonly icePolicy: RTCIceTransportPolicy;
  readonly peer: Peer;
}

/** What the control channel tells its session. */
export interface ControlHandler {
  /** Takes one message of the server, in order, once. */
  handle(envelope: wire.Envelope): void;
  /** The socket is gone (attempt 1), or was not to be had back and is tried again. */
  lost(attempt: number, cause: VoxwireError): void;
  /** The channel is there: for the first time, or again. */
  attached(
    welcome: wire.Welcome,
    how: { readonly attempt: number; readonly afterMs: number; readonly unsent: number },
  ): void;
  /** Where it is in the server's queue; undefined = it has lost its place, or was refused. */
  waits(message?: wire.Waiting): void;
  /** True while neither the bot nor the user speaks. */
  isQuiet(): boolean;
  /** A message that is broken or makes no sense. */
  ignored(reason: string): void;
}

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
  /** The server will close this channel, and the session goes on where it says. */
  move(goAway: wire.GoAway): void;
  /** The server says why it will close this channel. */
  condemn(error: VoxwireError): void;
  /** Cuts the channel, as a broken network would. */
  drop(): void;
  /** Closes the channel, within 0.5 s. `scope` is what is left when the session's is over. */
  close(scope: Scope): Promise<void>;
}

/** What a channel has of its session's surroundings. */
export interface PeerHost {
  readonly media: Media;
  readonly gate: Passage;
  readonly tools: readonly Tool[];
  readonly tap: Tap;
  emit<K extends keyof ClientEvents>(type: K, event: ClientEvents[K]): void;
}

/** What a peer is given for a session. */
export interface PeerParts {
  readonly scope: Scope;
  readonly options: SessionOptions;
  readonly host: PeerHost;
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
