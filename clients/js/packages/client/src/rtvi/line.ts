/** One way to a stock bot: a connection that carries both its messages and its audio. */
import type { VoxwireError, wire } from "@voxwire/protocol";
import type { RtviMessage } from "@voxwire/protocol/rtvi";
import type { Feature } from "../core/peer.js";
import type { Scope } from "../core/scope.js";
import type { PathWiring, Payload } from "../media/media.js";

export interface Line {
  /** What paths need beside the offer. */
  readonly wiring?: PathWiring;
  readonly features: readonly Feature[];
  /** Largest message that the bot takes, UTF-8 bytes. */
  readonly maxMessageBytes: number;
  /** Takes what a session says of paths, audio and muting; false = not taken. */
  take(payload: Payload): boolean;
  /** Sends a message; false = there is no connection now. */
  say(message: RtviMessage): boolean;
  /** The bot is ready: the path in question is, too. */
  ready(): void;
  /** The bot has stopped in mid-sentence. */
  interrupted(): void;
  /** Cuts the connection, as a broken network would. */
  drop(): void;
  close(scope: Scope): Promise<void>;
}

/** What a line tells; it lives as long as the session. */
export interface LineHost {
  readonly scope: Scope;
  /** Where the speaker is, milliseconds. */
  readonly positionMs: number;
  /** True while the user is to be heard. */
  readonly microphoneOn: boolean;
  /** There is a connection. For the first time, or another one for the same session. */
  opened(again: boolean): void;
  /** The bot said something. */
  heard(message: RtviMessage): void;
  /** What a Voxwire server would say. */
  tell(payload: wire.PayloadInit): void;
  /** The lost connection is asked for once more; `attempt` counts from 1. */
  reconnecting(attempt: number): void;
  /** What is waited for, for the error of a session that does not open in time. */
  waiting(what: string): void;
  /** The bot has ended the session. */
  left(): void;
  /** The session cannot be had, or not any more. */
  failed(error: VoxwireError): void;
  /** Something that is understood by nobody. */
  ignored(reason: string): void;
}
