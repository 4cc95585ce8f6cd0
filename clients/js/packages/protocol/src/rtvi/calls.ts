/** Tool calls of a stock bot: what its messages do not say twice and its results have to repeat. */

/** Calls remembered at once; the oldest is forgotten for a new one. */
export const MAX_CALLS = 256;

/** Name and arguments (JSON) of a call. */
export interface TakenCall {
  readonly name: string;
  readonly argumentsJson: string;
}

/** Calls that the bot has open. */
export class TakenCalls {
  readonly #open = new Map<string, TakenCall>();

  /** Notes a call of the bot. */
  take(callId: string, call: TakenCall): void {
    this.#open.set(callId, call);
    if (this.#open.size <= MAX_CALLS) return;
    for (const oldest of this.#open.keys()) {
      this.#open.delete(oldest);
      return;
    }
  }

  /** Whether the bot has such a call open. */
  has(callId: string): boolean {
    return this.#open.has(callId);
  }

  /** Forgets a call; what was known of it. */
  end(callId: string): TakenCall | undefined {
    const known = this.#open.get(callId);
    this.#open.delete(callId);
    return known;
  }
}
