/** Tool calls: what they are, their states, and what a verb of `ToolCalls` tells. */
import type { ErrorCode } from "./errors.js";
import { utf8Length } from "./json-text.js";

/** Which side runs a tool. */
export type Executor = "server" | "client";

/** How a call ended, with the names of `ToolOutcome`. */
export type CallOutcome = "done" | "failed" | "cancelled" | "timed_out";

/** Where a call is. */
export type CallState = "requested" | "accepted" | "running" | CallOutcome;

/** What an interruption of the bot does to a call (`ToolInterruptionPolicy`). */
export type OnInterruption = "cancel" | "finish" | "ask";

/** Why a call failed. */
export interface CallError {
  readonly code: ErrorCode;
  /** One sentence; may be the client's own words, so it is content. */
  readonly reason: string;
  /** True when the same call may succeed later. */
  readonly retryable: boolean;
}

/** What a tool gave: JSON text, or the error. */
export type CallResult = string | CallError;

/** A request as it was made; it does not change. */
export interface Call {
  /** Names the call, unique in the session. */
  readonly callId: string;
  /** The tool. */
  readonly name: string;
  readonly executor: Executor;
  /** JSON object, as text. */
  readonly arguments: string;
  /** What a result from the client must bring; undefined = the server runs it, or the client
   * speaks a protocol without tokens. */
  readonly callToken: Uint8Array | undefined;
  readonly policy: OnInterruption;
  readonly requestedMs: number;
  /** When it times out, whatever happens. */
  readonly deadlineMs: number;
}

/** A call went on to a state that is not final. */
export interface Moved {
  readonly effect: "moved";
  readonly callId: string;
  readonly state: CallState;
}

/** A call ended; there is exactly one for each call. */
export interface Terminal {
  readonly effect: "terminal";
  readonly callId: string;
  readonly name: string;
  readonly executor: Executor;
  readonly outcome: CallOutcome;
  /** Result, JSON text, when done. */
  readonly output: string | undefined;
  /** Why, when failed or timed out. */
  readonly error: CallError | undefined;
  /** Why, when cancelled. */
  readonly reason: string;
  /** Time since the request, milliseconds. */
  readonly durationMs: number;
  /** True when the client still holds the call and is to be sent `ToolCancel`. */
  readonly withdraw: boolean;
}

/** A message about a call had no effect; its sender is told so in an `Error`. */
export interface Refused {
  readonly effect: "refused";
  readonly callId: string;
  readonly code: ErrorCode;
}

/** The result that ended a call, once more: nothing to do, nothing to answer. */
export interface Duplicate {
  readonly effect: "duplicate";
  readonly callId: string;
}

/** A genuine result for a call that had ended without one; for a hook, never for the model. */
export interface Late {
  readonly effect: "late";
  readonly callId: string;
  readonly name: string;
  /** How the call had ended. */
  readonly outcome: CallOutcome;
  readonly result: CallResult;
  /** Time since it ended, milliseconds. */
  readonly lateMs: number;
}

/** The bot was interrupted and decides: `cancel` the call, or let it run. */
export interface AskPolicy {
  readonly effect: "ask_policy";
  readonly callId: string;
  readonly name: string;
}

export type Effect = Moved | Terminal | Refused | Duplicate | Late | AskPolicy;

/** A request that cannot be opened; nothing changed. */
export class ToolUseError extends Error {
  override readonly name = "ToolUseError";
  constructor(
    /** What is wrong. */
    readonly code: ErrorCode,
    /** One sentence for a developer; never echoes arguments. */
    readonly reason: string,
  ) {
    super(reason);
  }
}

/** Bytes of a result on the wire, without its frame. */
export function resultBytes(result: CallResult): number {
  return utf8Length(typeof result === "string" ? result : result.reason);
}
