/** The tools of a client that a `FakeSession` has run. */
import { type JsonValue, parseJson } from "@voxwire/protocol";
import * as wire from "@voxwire/protocol/wire";
import type { Clock } from "../media/headless-media.js";

export interface ToolOutcome {
  readonly result?: JsonValue | undefined;
  readonly error?: { readonly code: number; readonly reason: string } | undefined;
}

export class FakeCalls {
  readonly #open = new Map<string, (outcome: ToolOutcome) => void>();

  constructor(
    private readonly send: (payload: wire.PayloadInit) => void,
    private readonly clock: Clock,
  ) {}

  get open(): readonly string[] {
    return [...this.#open.keys()];
  }

  call(callId: string, name: string, args: JsonValue, timeoutMs: number): Promise<ToolOutcome> {
    const argumentsJson = JSON.stringify(args);
    this.send({ case: "toolCallStarted", value: { callId, name, argumentsJson } });
    this.request(callId, name, argumentsJson, timeoutMs);
    return new Promise((resolve) => {
      const settle = (outcome: ToolOutcome) => {
        cancel();
        if (!this.#open.delete(callId)) return;
        const ended = outcome.error ? wire.ToolOutcome.FAILED : wire.ToolOutcome.DONE;
        const resultJson = outcome.result === undefined ? "" : JSON.stringify(outcome.result);
        const value = { callId, name, outcome: ended, resultJson, durationMs: 1 };
        this.send({ case: "toolCallEnded", value });
        resolve(outcome);
      };
      const late = { error: { code: wire.ErrorCode.TIMEOUT, reason: "no result in time" } };
      const cancel = this.clock.after(timeoutMs, () => settle(late));
      this.#open.set(callId, settle);
    });
  }

  request(callId: string, name: string, argumentsJson: string, timeoutMs: number): void {
    const callToken = new Uint8Array([7, 7]);
    const value = { callId, name, argumentsJson, timeoutMs, callToken };
    this.send({ case: "toolRequest", value });
  }

  receive({ callId, outcome }: wire.ToolResult): void {
    const settle = this.#open.get(callId);
    if (outcome.case === "resultJson") settle?.({ result: parseJson(outcome.value) });
    else if (outcome.case === "error") settle?.({ error: outcome.value });
  }
}
