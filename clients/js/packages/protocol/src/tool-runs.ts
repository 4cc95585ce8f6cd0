/** The executing side of tool calls, which runs each call at most once (protocol/spec/tools.md). */
import { type CallResult, resultBytes } from "./tool-calls.js";

/** Finished or withdrawn calls that are remembered, so that a repeated request runs nothing. */
export const KEPT_RUNS = 256;
/** Most bytes of results that are kept to be sent again. */
export const KEPT_RESULT_BYTES = 512 * 1024;

/**
 * What to do with a request or a withdrawal.
 *
 * - `start`: run the tool; say `ToolAccepted` first
 * - `running`: it runs already; say `ToolAccepted` again
 * - `finished`: it ran; send `resultOf` again, if it is still kept
 * - `stop`: stop the tool
 * - `ignore`: nothing
 */
export type Run = "start" | "running" | "finished" | "stop" | "ignore";

interface Over {
  result: CallResult | undefined;
  readonly withdrawn: boolean;
}

/** What is kept; for tests. */
export interface RunLimits {
  readonly keptRuns?: number;
  readonly keptResultBytes?: number;
}

/**
 * The calls that this side executes. Pure; owned by the session.
 *
 * A request may come twice (a carrier repeats it, a resume delivers it again) and behind its own
 * withdrawal; the tool runs at most once all the same.
 */
export class ToolRuns {
  readonly #running = new Set<string>();
  /** Oldest first. */
  readonly #over = new Map<string, Over>();
  readonly #keptRuns: number;
  readonly #mostBytes: number;
  #keptBytes = 0;

  constructor(limits: RunLimits = {}) {
    this.#keptRuns = limits.keptRuns ?? KEPT_RUNS;
    this.#mostBytes = limits.keptResultBytes ?? KEPT_RESULT_BYTES;
  }

  /** Calls whose tool runs now. */
  get running(): readonly string[] {
    return [...this.#running];
  }

  /** Bytes of results that are kept. */
  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** Takes a request: `start` the first time, `running`, `finished` or `ignore` after that. */
  request(callId: string): Run {
    if (this.#running.has(callId)) return "running";
    const over = this.#over.get(callId);
    if (over) return over.withdrawn ? "ignore" : "finished";
    this.#running.add(callId);
    return "start";
  }

  /**
   * Notes what a tool returned or threw.
   *
   * @returns true = send it as the `ToolResult`; false for a call that was withdrawn in the
   *   meantime, or has finished.
   */
  finish(callId: string, result: CallResult): boolean {
    if (!this.#running.delete(callId)) return false;
    this.#remember(callId, { result, withdrawn: false });
    return true;
  }

  /**
   * Takes a `ToolCancel`: `stop` a running tool, `ignore` anything else.
   *
   * A request that comes after its withdrawal is ignored.
   */
  withdraw(callId: string): Run {
    if (this.#over.has(callId)) return "ignore";
    const running = this.#running.delete(callId);
    this.#remember(callId, { result: undefined, withdrawn: true });
    return running ? "stop" : "ignore";
  }

  /** Returns what a finished call gave; undefined when it is not kept any more. */
  resultOf(callId: string): CallResult | undefined {
    return this.#over.get(callId)?.result;
  }

  #remember(callId: string, over: Over): void {
    this.#over.set(callId, over);
    if (over.result !== undefined) this.#keptBytes += resultBytes(over.result);
    for (const [oldestId, oldest] of this.#over) {
      const many = this.#over.size > this.#keptRuns;
      if (!many && this.#keptBytes <= this.#mostBytes) break;
      if (many) this.#over.delete(oldestId);
      if (oldest.result !== undefined) this.#keptBytes -= resultBytes(oldest.result);
      oldest.result = undefined;
    }
  }
}
