/** Part of `tools`: what the asking side keeps of a call. */
import type { Call, CallOutcome, CallResult, CallState } from "./tool-calls.js";

/** A call that has not ended. */
export interface Opened {
  readonly call: Call;
  state: CallState;
  /** undefined = nothing waits for acceptance. */
  acceptDueMs: number | undefined;
}

/** What is remembered of a call that has ended. */
export interface Ended {
  readonly call: Call;
  readonly state: CallOutcome;
  readonly endedMs: number;
  /** Fingerprint of the result that ended it; undefined when none did. */
  readonly result: string | undefined;
  late: boolean;
}

/** Whether a token is the wanted one; takes the same time for any wrong one of its length. */
export function sameToken(wanted: Uint8Array, token: Uint8Array): boolean {
  let differences = wanted.length ^ token.length;
  for (const [at, byte] of wanted.entries()) differences |= byte ^ (token[at] ?? 0);
  return differences === 0;
}

/**
 * Stands for a result, so that repetitions are known without keeping it.
 *
 * 53 bits (cyrb53) and the length: no proof against forgery, and none is needed, since a result
 * gets here with the call's token only, and a false match merely leaves its sender unanswered.
 */
export function fingerprint(result: CallResult): string {
  const text =
    typeof result === "string"
      ? `+${result}`
      : `-${result.code} ${result.retryable} ${result.reason}`;
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    high = Math.imul(high ^ unit, 2654435761);
    low = Math.imul(low ^ unit, 1597334677);
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return `${text.length}:${high >>> 0}:${low >>> 0}`;
}
