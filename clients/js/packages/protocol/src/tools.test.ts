import { expect, test } from "vitest";
import { type Call, type CallResult, resultBytes, ToolUseError } from "./tool-calls.js";
import { ToolRuns } from "./tool-runs.js";
import { type CallRequest, KEPT_CALLS, ToolCalls } from "./tools.js";

const TOKEN = Uint8Array.from({ length: 16 }, (_, at) => at);

function ask(calls: ToolCalls, callId = "a", changes: Partial<CallRequest> = {}): Call {
  return calls.request({
    callId,
    name: "tool",
    executor: "client",
    arguments: "{}",
    nowMs: 0,
    callToken: TOKEN,
    ...changes,
  });
}

function refusal(request: () => unknown): string {
  try {
    request();
  } catch (error) {
    if (error instanceof ToolUseError) return `${error.code}: ${error.reason}`;
  }
  throw new Error("it was opened");
}

test("a request that cannot be opened says why", () => {
  const calls = new ToolCalls();
  ask(calls);
  expect(refusal(() => ask(calls))).toMatch(/invalid_argument: .*in use/);
  expect(refusal(() => ask(calls, "b", { timeoutMs: -1 }))).toMatch(/negative/);
  expect(refusal(() => ask(calls, "b", { executor: "server" }))).toMatch(/no callToken/);
  expect(refusal(() => ask(calls, "b", { callToken: TOKEN.slice(1) }))).toMatch(/at least 16/);
  expect(refusal(() => ask(new ToolCalls({ maxOpen: 0 })))).toMatch(/capacity: too many/);
});

test("a cancellation says why", () => {
  const calls = new ToolCalls();
  ask(calls);
  const effects = calls.cancel("a", "changed my mind", { nowMs: 1 });
  expect(effects).toMatchObject([{ effect: "terminal", reason: "changed my mind", name: "tool" }]);
});

test("a late result is given whole, once", () => {
  const calls = new ToolCalls();
  ask(calls);
  calls.cancel("a", "", { nowMs: 1 });
  const refused = { effect: "refused", callId: "a", code: "tool_closed" };
  const first = calls.result("a", "42", { nowMs: 5, callToken: TOKEN });
  const late = { effect: "late", callId: "a", name: "tool", outcome: "cancelled", lateMs: 4 };
  expect(first).toEqual([{ ...late, result: "42" }, refused]);
  expect(calls.result("a", "42", { nowMs: 6, callToken: TOKEN })).toEqual([refused]);
});

test("text that is no Unicode hurts nothing", () => {
  const calls = new ToolCalls();
  const runs = new ToolRuns();
  const results: [string, CallResult][] = [
    ["a", "\ud800"],
    ["b", { code: "timeout", reason: "\udfff", retryable: false }],
  ];
  for (const [callId, result] of results) {
    ask(calls, callId);
    runs.request(callId);
    expect(runs.finish(callId, result)).toBe(true);
    calls.result(callId, result, { nowMs: 1, callToken: TOKEN });
    const again = calls.result(callId, result, { nowMs: 1, callToken: TOKEN });
    expect(again).toEqual([{ effect: "duplicate", callId }]);
  }
});

test("a result is measured in UTF-8", () => {
  expect(["a", "é", "你", "👋", "\ud800"].map(resultBytes)).toEqual([1, 2, 3, 4, 3]);
  const calls = new ToolCalls({ maxResultBytes: 4 });
  ask(calls, "a");
  ask(calls, "b");
  const said = { nowMs: 1, callToken: TOKEN };
  expect(calls.result("a", "👋", said)).toMatchObject([{ outcome: "done" }]);
  expect(calls.result("b", "👋.", said)).toMatchObject([{ error: { code: "too_large" } }]);
});

test("what is kept of ended calls is bounded", () => {
  const calls = new ToolCalls();
  for (let number = 0; number < KEPT_CALLS + 20; number++) {
    ask(calls, String(number));
    calls.result(String(number), "y", { nowMs: 1, callToken: TOKEN });
  }
  const known = Array.from({ length: KEPT_CALLS + 20 }, (_, number) => calls.state(String(number)));
  expect(known).toEqual([...Array(20).fill(undefined), ...Array(KEPT_CALLS).fill("done")]);
  expect(calls.openCalls).toEqual([]);
});
