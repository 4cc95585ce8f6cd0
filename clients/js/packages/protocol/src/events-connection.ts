/** Events about the session's wires: which path carries the audio, the control channel lost and
 * found, what got lost with it. */
import type { BotState, Carrier, ConnectionState, TurnRole, UserState } from "./event-enums.js";

/** The audio of the session goes over another path from now on. */
export interface PathChanged {
  readonly pathId: number;
  readonly carrier: Carrier;
  /** Of the user's audio, what was captured before and is sent now, milliseconds. */
  readonly resentMs: number;
  /** Of the user's audio, what the bot never hears: nothing carried it for longer than the client
   * keeps it, milliseconds. */
  readonly lostMs: number;
}

/** The control channel of a session was lost, is dialled again, or is back.
 *
 * Not raised for the first connection: `sessionStarted` says that. */
export interface ConnectionChanged {
  /** `reconnecting` before every try, `connected` when one was welcomed. */
  readonly state: ConnectionState;
  /** Number of the try since the loss, from 1; 0 = a second socket took over while the first one
   * still stood. */
  readonly attempt: number;
  /** Number of the attach in the session that is, or was, in force. */
  readonly epoch: number;
  /** Time since the loss, milliseconds. */
  readonly afterMs: number;
}

/** One turn of the conversation as it was heard. */
export interface Turn {
  readonly turnId: string;
  readonly role: TurnRole;
  /** What was said; of the bot, what was heard. */
  readonly text: string;
  /** Of the bot: what was to be said and was not heard. */
  readonly unheardText: string;
}

/** The state of a session, from which it goes on after a loss. */
export interface Snapshot {
  /** The conversation so far, oldest first. */
  readonly turns: readonly Turn[];
  /** The utterance that is being spoken; empty = none. */
  readonly utteranceId: string;
  /** Where the media clock is for the listener, milliseconds. */
  readonly heardMediaMs: number;
  /** Open tool calls. */
  readonly callIds: readonly string[];
  readonly bot: BotState;
  readonly user: UserState;
  /** True while the server ignores the user's audio. */
  readonly userMuted: boolean;
}

/** Events were lost: nobody read them in time, or a resume came too late.
 *
 * After a resume that came too late, what is the case now follows as ordinary events: the
 * utterance that is being spoken, its words, open tool calls, the state. */
export interface EventsSkipped {
  /** How many; 0 = not known, which is so after a resume. */
  readonly count: number;
  /** Messages of this side that the server may not have got, and that were given up. */
  readonly unsent: number;
  /** The state from which the session goes on; undefined when only the reader was late. */
  readonly snapshot: Snapshot | undefined;
}
