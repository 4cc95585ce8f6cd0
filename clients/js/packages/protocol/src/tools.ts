/**
 * Tool calls, the side that asks: every call ends exactly once, whatever is lost, repeated, late
 * or forged (protocol/spec/tools.md).
 *
 * For servers and for tests; a client needs `ToolRuns` only. Reads no clock: `nowMs` is any
 * monotonic clock in milliseconds.
 */
import {
  type Call,
  type CallError,
  type CallOutcome,
  type CallResult,
  type CallState,
  type Effect,
  type Executor,
  type OnInterruption,
  type Refused,
  resultBytes,
  type Terminal,
  ToolUseError,
} from "./tool-calls.js";
import { type Ended, fingerprint, type Opened, sameToken } from "./tool-calls-kept.js";

/** Ended calls that are remembered, to tell a late result from an unknown one. */
export const KEPT_CALLS = 256;
/** Shortest call token: 128 bits. */
export const MIN_TOKEN_BYTES = 16;

export interface ToolCallsOptions {
  /** Longest run of a call that does not say it; default 10 000. */
  readonly defaultTimeoutMs?: number;
  /** Time in which a client must take a request; default 2 000. */
  readonly acceptWithinMs?: number;
  /** Most calls that may be open at once; default 32. */
  readonly maxOpen?: number;
  /** Largest result, UTF-8; a larger one fails the call; default 48 KiB. */
  readonly maxResultBytes?: number;
}

export interface CallRequest {
  /** Names the call; must be new. */
  readonly callId: string;
  /** The tool. */
  readonly name: string;
  readonly executor: Executor;
  /** JSON object, as text; checked against the schema by the caller. */
  readonly arguments: string;
  readonly nowMs: number;
  /** Longest run; 0 = the default. */
  readonly timeoutMs?: number;
  /** What an interruption does to it; default `cancel`. */
  readonly policy?: OnInterruption;
  /** Unguessable bytes for a client's call. undefined only for a call that the server runs, or
   * for a client whose protocol has no tokens. */
  readonly callToken?: Uint8Array | undefined;
}

/** When something is said about a call, and by whom. */
export interface Said {
  readonly nowMs: number;
  /** Who says so; default: the client, for `cancel` the server. */
  readonly by?: Executor;
}

/** Why a call ends, for `#end`. */
interface Ending {
  readonly output?: string;
  readonly error?: CallError;
  readonly reason?: string;
  readonly result?: CallResult;
  /** The client withdrew it itself. */
  readonly told?: boolean;
}

/**
 * The calls of one session, on the side that asks. Pure; owned by the session.
 *
 * Every verb first lets the deadline of its call pass if it has: what comes at or after the
 * deadline is late, whether or not `tick` ran in between.
 */
export class ToolCalls {
  readonly #limits: Required<ToolCallsOptions>;
  readonly #open = new Map<string, Opened>();
  /** Oldest first. */
  readonly #ended = new Map<string, Ended>();
  #attached = true;

  /** Makes a machine without calls, with the client attached. */
  constructor(options: ToolCallsOptions = {}) {
    this.#limits = {
      defaultTimeoutMs: 10_000,
      acceptWithinMs: 2_000,
      maxOpen: 32,
      maxResultBytes: 48 * 1024,
      ...options,
    };
  }

  /** Calls that have not ended, oldest first: the open tool calls of a `Snapshot`. */
  get openCalls(): readonly Call[] {
    return [...this.#open.values()].map((opened) => opened.call);
  }

  /** When `tick` wants to be called next; undefined = no call is open. */
  get nextDueMs(): number | undefined {
    const due = [...this.#open.values()].map(dueMs);
    return due.length > 0 ? Math.min(...due) : undefined;
  }

  /** Returns where a call is; undefined when it is unknown or forgotten. */
  state(callId: string): CallState | undefined {
    return (this.#open.get(callId) ?? this.#ended.get(callId))?.state;
  }

  /**
   * Opens a call. Its deadline is armed from here on and nothing moves it.
   *
   * @returns The call; for the client's, send a `ToolRequest` of it (not while detached:
   *   `redeliver` returns it then).
   * @throws ToolUseError invalid_argument for an id that is known, a negative time, a token that
   *   is short or for a server's call; capacity above `maxOpen`.
   */
  request(request: CallRequest): Call {
    const { callId, executor, nowMs, callToken } = request;
    const wrong = this.#wrongWith(request);
    if (wrong) throw new ToolUseError("invalid_argument", wrong);
    if (this.#open.size >= this.#limits.maxOpen) {
      throw new ToolUseError("capacity", "too many tool calls are open");
    }
    const call: Call = Object.freeze({
      callId,
      name: request.name,
      executor,
      arguments: request.arguments,
      callToken,
      policy: request.policy ?? "cancel",
      requestedMs: nowMs,
      deadlineMs: nowMs + (request.timeoutMs || this.#limits.defaultTimeoutMs),
    });
    const waits = executor === "client" && this.#attached;
    const acceptDueMs = waits ? nowMs + this.#limits.acceptWithinMs : undefined;
    this.#open.set(callId, { call, state: "requested", acceptDueMs });
    return call;
  }

  /** Notes that the executor has taken a request. */
  accept(callId: string, said: Said): Effect[] {
    return this.#step(callId, "accepted", said);
  }

  /** Notes that a call runs; counts as acceptance, never moves the deadline. */
  progress(callId: string, said: Said): Effect[] {
    return this.#step(callId, "running", said);
  }

  /**
   * Ends a call with what its executor says, if it may.
   *
   * It counts once, for an open call, from its executor, with its token, before its deadline.
   *
   * @param said `callToken` came with the result; not looked at for a server's call.
   * @returns The terminal; or duplicate; or refused: forbidden for the wrong executor or token,
   *   tool_closed for a call that is unknown or ended, after a late the first time when it had
   *   ended without a result.
   */
  result(
    callId: string,
    result: CallResult,
    said: Said & { readonly callToken?: Uint8Array },
  ): Effect[] {
    const { nowMs, by = "client", callToken = new Uint8Array() } = said;
    const effects = this.#expire(callId, nowMs);
    const opened = this.#open.get(callId);
    const known = opened ?? this.#ended.get(callId);
    if (!known) return [refused(callId, "tool_closed")];
    const { executor, callToken: wanted } = known.call;
    if (executor !== by || (wanted && !sameToken(wanted, callToken))) {
      return [...effects, refused(callId, "forbidden")];
    }
    if (!opened) return [...effects, ...this.#answerEnded(known as Ended, result, nowMs)];
    if (resultBytes(result) > this.#limits.maxResultBytes) {
      const error = failure("too_large", "the result is above the size limit");
      return [this.#end(opened, "failed", nowMs, { error, result })];
    }
    return typeof result === "string"
      ? [this.#end(opened, "done", nowMs, { output: result, result })]
      : [this.#end(opened, "failed", nowMs, { error: result, result })];
  }

  /**
   * Withdraws a call. The server may withdraw any, the client those that it runs.
   *
   * @param reason Why, one sentence.
   * @returns The terminal; nothing for a call that has ended; refused: tool_closed for an unknown
   *   one, forbidden for a client that does not run it.
   */
  cancel(callId: string, reason: string, said: Said): Effect[] {
    const { nowMs, by = "server" } = said;
    const effects = this.#expire(callId, nowMs);
    const opened = this.#open.get(callId);
    const known = opened ?? this.#ended.get(callId);
    if (!known) return [refused(callId, "tool_closed")];
    if (by === "client" && known.call.executor !== by) {
      return [...effects, refused(callId, "forbidden")];
    }
    if (!opened) return effects;
    return [this.#end(opened, "cancelled", nowMs, { reason, told: by === "client" })];
  }

  /**
   * Applies each open call's policy to an interruption of the bot, oldest call first.
   *
   * @returns What fell due before, then a terminal for `cancel`, an ask_policy for `ask`, nothing
   *   for `finish`. A call that is asked about runs on, under its deadline.
   */
  interrupted(nowMs: number): Effect[] {
    const effects = this.tick(nowMs);
    for (const opened of [...this.#open.values()]) {
      const { callId, name, policy } = opened.call;
      if (policy === "cancel") {
        effects.push(this.#end(opened, "cancelled", nowMs, { reason: "the bot was interrupted" }));
      } else if (policy === "ask") {
        effects.push({ effect: "ask_policy", callId, name });
      }
    }
    return effects;
  }

  /** Ends what fell due, earliest first: timed_out, or failed (unreachable) unaccepted. */
  tick(nowMs: number): Effect[] {
    const due = [...this.#open.values()].sort((one, other) => dueMs(one) - dueMs(other));
    return due.flatMap((opened) => this.#expire(opened.call.callId, nowMs));
  }

  /** Notes that the client is away: requests need not be accepted until it is back.
   *
   * Deadlines run on. */
  onLost(): void {
    this.#attached = false;
    for (const opened of this.#open.values()) opened.acceptDueMs = undefined;
  }

  /**
   * Notes that the client is back and returns the requests to send again.
   *
   * These are the client's calls that were not accepted, with the same id and token; each one
   * once for every `onLost`. The client has `acceptWithinMs` again.
   *
   * @param nowMs Call `tick` with it first.
   */
  redeliver(nowMs: number): Call[] {
    if (this.#attached) return [];
    this.#attached = true;
    const again: Call[] = [];
    for (const opened of this.#open.values()) {
      if (opened.state === "requested" && opened.call.executor === "client") {
        opened.acceptDueMs = nowMs + this.#limits.acceptWithinMs;
        again.push(opened.call);
      }
    }
    return again;
  }

  /** Why no call can be opened so; undefined = it can. */
  #wrongWith({ callId, executor, timeoutMs = 0, callToken }: CallRequest): string | undefined {
    if (this.state(callId)) return "the callId is in use, or was a short while ago";
    if (timeoutMs < 0) return "timeoutMs must not be negative";
    if (!callToken) return undefined;
    if (executor === "server") return "a call that the server runs has no callToken";
    const long = callToken.length >= MIN_TOKEN_BYTES;
    return long ? undefined : `callToken must have at least ${MIN_TOKEN_BYTES} bytes`;
  }

  #step(callId: string, to: "accepted" | "running", said: Said): Effect[] {
    const effects = this.#expire(callId, said.nowMs);
    const opened = this.#open.get(callId);
    const ended = this.#ended.get(callId);
    const known = opened ?? ended;
    if (!known) return [refused(callId, "tool_closed")];
    if (known.call.executor !== (said.by ?? "client")) {
      return [...effects, refused(callId, "forbidden")];
    }
    if (!opened) {
      if (ended?.result !== undefined) return [{ effect: "duplicate", callId }];
      return [...effects, refused(callId, "tool_closed")];
    }
    opened.acceptDueMs = undefined;
    if (opened.state === to || opened.state === "running") return [];
    opened.state = to;
    return [{ effect: "moved", callId, state: to }];
  }

  /** Ends a call whose time is over. */
  #expire(callId: string, nowMs: number): Effect[] {
    const opened = this.#open.get(callId);
    if (!opened || nowMs < dueMs(opened)) return [];
    if (dueMs(opened) < opened.call.deadlineMs) {
      const error = failure("unreachable", "the client did not take the call in time");
      return [this.#end(opened, "failed", nowMs, { error })];
    }
    const error = failure("timeout", "the call passed its deadline");
    return [this.#end(opened, "timed_out", nowMs, { error })];
  }

  #answerEnded(ended: Ended, result: CallResult, nowMs: number): Effect[] {
    const { callId, name } = ended.call;
    if (ended.result !== undefined) {
      if (ended.result === fingerprint(result)) return [{ effect: "duplicate", callId }];
    } else if (!ended.late && resultBytes(result) <= this.#limits.maxResultBytes) {
      ended.late = true;
      const lateMs = nowMs - ended.endedMs;
      return [
        { effect: "late", callId, name, outcome: ended.state, result, lateMs },
        refused(callId, "tool_closed"),
      ];
    }
    return [refused(callId, "tool_closed")];
  }

  /** Ends a call; the only place that does. */
  #end(opened: Opened, outcome: CallOutcome, nowMs: number, ending: Ending): Terminal {
    const { call } = opened;
    const { result } = ending;
    this.#open.delete(call.callId);
    this.#ended.set(call.callId, {
      call: { ...call, arguments: "" },
      state: outcome,
      endedMs: nowMs,
      result: result === undefined ? undefined : fingerprint(result),
      late: false,
    });
    const [oldest] = this.#ended.keys();
    if (this.#ended.size > KEPT_CALLS && oldest !== undefined) this.#ended.delete(oldest);
    return Object.freeze({
      effect: "terminal",
      callId: call.callId,
      name: call.name,
      executor: call.executor,
      outcome,
      output: ending.output,
      error: ending.error,
      reason: ending.reason ?? "",
      durationMs: nowMs - call.requestedMs,
      withdraw: call.executor === "client" && result === undefined && !ending.told,
    });
  }
}

/** When something falls due: the acceptance, or the deadline. */
function dueMs(opened: Opened): number {
  return Math.min(opened.acceptDueMs ?? opened.call.deadlineMs, opened.call.deadlineMs);
}

function refused(callId: string, code: Refused["code"]): Refused {
  return { effect: "refused", callId, code };
}

function failure(code: CallError["code"], reason: string): CallError {
  return { code, reason, retryable: false };
}
