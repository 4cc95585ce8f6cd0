import { expect, test } from "vitest";
import type { ErrorCode } from "../src/errors.js";
import type { Effect, Executor, OnInterruption } from "../src/tool-calls.js";
import { ToolUseError } from "../src/tool-calls.js";
import { ToolRuns } from "../src/tool-runs.js";
import { ToolCalls } from "../src/tools.js";
import { ofKind, readVectors } from "./read-vectors.js";

interface Expected {
  readonly effects?: readonly unknown[];
  readonly next_due_ms?: number | null;
}
interface OfCall {
  readonly now_ms: number;
  readonly call_id: string;
  readonly by: Executor;
}
type Step = Expected &
  (
    | {
        op: "request";
        now_ms: number;
        call_id: string;
        name: string;
        executor: Executor;
        arguments: string;
        timeout_ms: number;
        policy: OnInterruption;
        call_token: string | null;
        error?: string;
      }
    | ({ op: "accept" | "progress" } & OfCall)
    | ({ op: "result"; call_token: string; output?: string; error?: string } & OfCall)
    | ({ op: "cancel"; reason: string } & OfCall)
    | { op: "interrupted" | "tick"; now_ms: number }
    | { op: "on_lost" }
    | { op: "redeliver"; now_ms: number; calls: string[] }
    | { op: "state"; call_id: string; state: string | null }
  );

interface CallsCase {
  readonly kind: "calls";
  readonly options: {
    readonly default_timeout_ms: number;
    readonly accept_within_ms: number;
    readonly max_open: number;
    readonly max_result_bytes: number;
  };
  readonly steps: readonly Step[];
}

type RunStep = { readonly call_id: string } & (
  | { op: "request"; run: string }
  | { op: "withdraw"; run: string }
  | { op: "finish"; output: string; sent: boolean }
  | { op: "result_of"; output: string | null }
);

interface RunsCase {
  readonly kind: "runs";
  readonly steps: readonly RunStep[];
}

const CASES = readVectors<CallsCase | RunsCase>("tools");
const CALLS = ofKind<CallsCase | RunsCase, "calls">(CASES, "calls");
const RUNS = ofKind<CallsCase | RunsCase, "runs">(CASES, "runs");

test("no case of tools/ is left out", () => {
  expect(CASES.length).toBeGreaterThanOrEqual(21);
  expect(CALLS.length + RUNS.length).toBe(CASES.length);
});

test.each(CALLS)("%s", (_, wanted) => {
  const { options } = wanted;
  const calls = new ToolCalls({
    defaultTimeoutMs: options.default_timeout_ms,
    acceptWithinMs: options.accept_within_ms,
    maxOpen: options.max_open,
    maxResultBytes: options.max_result_bytes,
  });
  expect(Object.keys(options)).toHaveLength(4);
  for (const [at, step] of wanted.steps.entries()) {
    const effects = runStep(calls, step, `step ${at}`);
    expect(effects.map(asJson), `step ${at}`).toEqual(step.effects ?? []);
    if ("next_due_ms" in step) {
      expect(calls.nextDueMs ?? null, `step ${at}`).toBe(step.next_due_ms);
    }
  }
});

test.each(RUNS)("%s", (_, wanted) => {
  const runs = new ToolRuns();
  for (const [at, step] of wanted.steps.entries()) {
    const id = step.call_id;
    const where = `step ${at}`;
    if (step.op === "request") expect(runs.request(id), where).toBe(step.run);
    else if (step.op === "withdraw") expect(runs.withdraw(id), where).toBe(step.run);
    else if (step.op === "finish") expect(runs.finish(id, step.output), where).toBe(step.sent);
    else if (step.op === "result_of") expect(runs.resultOf(id) ?? null, where).toBe(step.output);
    else throw new Error(`no such step: ${JSON.stringify(step satisfies never)}`);
  }
});

const code = (name: string) => name.toLowerCase() as ErrorCode;
const unhex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));

function runStep(calls: ToolCalls, step: Step, where: string): Effect[] {
  switch (step.op) {
    case "request":
      expect(openError(calls, step), where).toBe(step.error);
      return [];
    case "accept":
      return calls.accept(step.call_id, { nowMs: step.now_ms, by: step.by });
    case "progress":
      return calls.progress(step.call_id, { nowMs: step.now_ms, by: step.by });
    case "result": {
      const result = step.error
        ? { code: code(step.error), reason: "", retryable: false }
        : (step.output ?? "");
      const callToken = unhex(step.call_token);
      return calls.result(step.call_id, result, { nowMs: step.now_ms, by: step.by, callToken });
    }
    case "cancel":
      return calls.cancel(step.call_id, step.reason, { nowMs: step.now_ms, by: step.by });
    case "interrupted":
      return calls.interrupted(step.now_ms);
    case "tick":
      return calls.tick(step.now_ms);
    case "on_lost":
      calls.onLost();
      return [];
    case "redeliver":
      expect(calls.redeliver(step.now_ms).map((call) => call.callId)).toEqual(step.calls);
      return [];
    case "state":
      expect(calls.state(step.call_id) ?? null, where).toBe(step.state);
      return [];
    default:
      throw new Error(`${where}: no such step: ${JSON.stringify(step satisfies never)}`);
  }
}

/** Opens a call; the name of the error when it cannot be opened. */
function openError(calls: ToolCalls, step: Step & { op: "request" }): string | undefined {
  try {
    calls.request({
      callId: step.call_id,
      name: step.name,
      executor: step.executor,
      arguments: step.arguments,
      nowMs: step.now_ms,
      timeoutMs: step.timeout_ms,
      policy: step.policy,
      callToken: step.call_token === null ? undefined : unhex(step.call_token),
    });
    return undefined;
  } catch (error) {
    if (error instanceof ToolUseError) return error.code.toUpperCase();
    throw error;
  }
}

function asJson(effect: Effect): object {
  const same = { effect: effect.effect, call_id: effect.callId };
  switch (effect.effect) {
    case "moved":
      return { ...same, state: effect.state };
    case "terminal":
      return {
        ...same,
        outcome: effect.outcome,
        output: effect.output ?? null,
        error: effect.error?.code.toUpperCase() ?? null,
        duration_ms: effect.durationMs,
        withdraw: effect.withdraw,
      };
    case "refused":
      return { ...same, code: effect.code.toUpperCase() };
    case "late":
      return { ...same, outcome: effect.outcome, late_ms: effect.lateMs };
    default:
      return same;
  }
}
