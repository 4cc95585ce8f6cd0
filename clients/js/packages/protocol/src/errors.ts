/**
 * Errors: one root, a closed code, families by what the caller does next
 * (protocol/spec/errors.md).
 */
import { CLOSE_CODE_BASE } from "./limits.js";
import {
  create,
  ErrorSchema,
  RecoveryAction as WireAction,
  ErrorCode as WireCode,
  type Error as WireError,
} from "./messages.js";

/** What went wrong: the names of `error.proto`, which explains each, in lower case. */
export type ErrorCode = Lowercase<Exclude<keyof typeof WireCode, "UNSPECIFIED">>;

/** What to do next. */
export type RecoveryAction = Lowercase<Exclude<keyof typeof WireAction, "UNSPECIFIED">>;

/** What an error says beside its code and reason. */
export interface ErrorDetails {
  /** True when the same verb may succeed later; default false. */
  readonly retryable?: boolean;
  /** Default "none". */
  readonly action?: RecoveryAction;
  /** Milliseconds to wait before trying again; 0 = no advice, the default. */
  readonly retryAfterMs?: number;
  /** The error behind this one. */
  readonly cause?: unknown;
}

/** The root of every error that Voxwire raises. */
export class VoxwireError extends Error {
  override readonly name: string = "VoxwireError";
  /** What went wrong, from a closed list. */
  readonly code: ErrorCode;
  /** One sentence for a developer. */
  readonly reason: string;
  /** True when the same verb may succeed later. */
  readonly retryable: boolean;
  /** What the caller should do now. */
  readonly action: RecoveryAction;
  /** Milliseconds to wait before trying again; 0 = no advice. */
  readonly retryAfterMs: number;

  constructor(code: ErrorCode, reason: string, details: ErrorDetails = {}) {
    super(`${code}: ${reason}`, "cause" in details ? { cause: details.cause } : undefined);
    this.code = code;
    this.reason = reason;
    this.retryable = details.retryable ?? false;
    this.action = details.action ?? "none";
    this.retryAfterMs = details.retryAfterMs ?? 0;
  }
}

/** The program asks for what cannot be: change the call. */
export class UsageError extends VoxwireError {
  override readonly name: string = "UsageError";
}

/** The server refuses or has given up the session: get a token, wait, or connect anew. */
export class SessionError extends VoxwireError {
  override readonly name: string = "SessionError";
}

/** No media path could be agreed on: try another transport. */
export class SignalingError extends VoxwireError {
  override readonly name: string = "SignalingError";
}

/** The wire failed or was too slow: try again. */
export class TransportError extends VoxwireError {
  override readonly name: string = "TransportError";
}

/** A device or an audio format: choose another. */
export class MediaError extends VoxwireError {
  override readonly name: string = "MediaError";
}

/** The two sides do not understand each other: update one of them. */
export class ProtocolError extends VoxwireError {
  override readonly name: string = "ProtocolError";
}

/** The bot or a service behind it failed: look at the bot's log. */
export class BotError extends VoxwireError {
  override readonly name: string = "BotError";
}

type Family = new (code: ErrorCode, reason: string, details?: ErrorDetails) => VoxwireError;

function familyOf(code: ErrorCode): Family {
  const number = codeToWire(code);
  if (number < 20) return UsageError;
  if (number < 40) return SessionError;
  if (number < 50) return SignalingError;
  if (number < 60) return TransportError;
  if (number < 70) return MediaError;
  if (number < 80) return ProtocolError;
  return BotError;
}

/** Makes the error of the family that `code` belongs to. */
export function makeError(code: ErrorCode, reason: string, details?: ErrorDetails): VoxwireError {
  return new (familyOf(code))(code, reason, details);
}

/** The code with that number; one that this version does not know becomes "internal". */
export function codeFromWire(value: number): ErrorCode {
  return knownCode(value) ?? "internal";
}

/** The number of a code in `error.proto`. */
export function codeToWire(code: ErrorCode): WireCode {
  return WireCode[code.toUpperCase() as Uppercase<ErrorCode>];
}

/** The action with that number; unspecified and unknown ones become "none". */
export function actionFromWire(value: number): RecoveryAction {
  return value > 0 && value in WireAction ? word<RecoveryAction>(WireAction[value]) : "none";
}

/** Makes the error that an `Error` message describes. */
export function errorFromWire(error: WireError): VoxwireError {
  return makeError(codeFromWire(error.code), error.reason || "the peer gave no reason", {
    retryable: error.retryable,
    action: actionFromWire(error.action),
    retryAfterMs: error.retryAfterMs,
  });
}

/** What an `Error` message says beside the error itself. */
export interface ErrorContext {
  /** True when the session is over with it; default false. */
  readonly fatal?: boolean;
  /** Number of the message that it answers; 0 = none, the default. */
  readonly inReplyToSeq?: number;
  /** What it is about, as `Error.subject_id` explains; default "". */
  readonly subjectId?: string;
}

/** Makes the `Error` message that describes an error. */
export function errorToWire(error: VoxwireError, context: ErrorContext = {}): WireError {
  return create(ErrorSchema, {
    code: codeToWire(error.code),
    reason: error.reason,
    retryable: error.retryable,
    action: WireAction[error.action.toUpperCase() as Uppercase<RecoveryAction>],
    retryAfterMs: error.retryAfterMs,
    fatal: context.fatal ?? false,
    inReplyToSeq: BigInt(context.inReplyToSeq ?? 0),
    subjectId: context.subjectId ?? "",
  });
}

/** The error code that a WebSocket close code names; undefined when it names none. */
export function codeOfClose(closeCode: number): ErrorCode | undefined {
  return knownCode(closeCode - CLOSE_CODE_BASE);
}

/** The WebSocket close code of a refusal with that error code. */
export function closeCodeOf(code: ErrorCode): number {
  return CLOSE_CODE_BASE + codeToWire(code);
}

/**
 * Makes the error for a WebSocket that the peer closed.
 *
 * @param closeCode - RFC 6455 close code; 4000 + the number of an error code names the error.
 * @param reason - The close reason; may be empty.
 */
export function errorFromClose(closeCode: number, reason = ""): VoxwireError {
  const code = codeOfClose(closeCode);
  if (code) return makeError(code, reason || `the peer closed with code ${closeCode}`);
  const because = reason && ` (${reason})`;
  return makeError("connection_lost", `the connection closed with code ${closeCode}${because}`, {
    retryable: true,
    action: "reconnect",
  });
}

function knownCode(value: number): ErrorCode | undefined {
  return value > 0 && value in WireCode ? word<ErrorCode>(WireCode[value]) : undefined;
}

function word<T extends string>(name: string | undefined): T {
  return String(name).toLowerCase() as T;
}
