import { expect, test } from "vitest";
import { ToolRuns } from "./tool-runs.js";

const TEN = "x".repeat(10);

function finished(runs: ToolRuns, ids: string): void {
  for (const callId of ids) {
    runs.request(callId);
    runs.finish(callId, TEN);
  }
}

test("what runs is told", () => {
  const runs = new ToolRuns();
  runs.request("a");
  expect(runs.running).toEqual(["a"]);
  runs.finish("a", "1");
  expect(runs.running).toEqual([]);
});

test("old calls and large results are forgotten", () => {
  const runs = new ToolRuns({ keptRuns: 4, keptResultBytes: 25 });
  runs.withdraw("w");
  finished(runs, "abcde");
  const kept = [..."abcde"].map((callId) => runs.resultOf(callId));
  expect(kept).toEqual([undefined, undefined, undefined, TEN, TEN]);
  expect([..."wab"].map((callId) => runs.request(callId))).toEqual(["start", "start", "finished"]);
  expect(runs.keptBytes).toBe(20);
  runs.finish("w", "x".repeat(26));
  expect([runs.resultOf("w"), runs.keptBytes]).toEqual([undefined, 0]);
});

test("a forgotten result gives its bytes back", () => {
  const runs = new ToolRuns({ keptRuns: 1 });
  finished(runs, "ab");
  expect(runs.keptBytes).toBe(10);
});

test("a call that was withdrawn sends nothing and never starts again", () => {
  const runs = new ToolRuns();
  runs.request("a");
  expect(runs.withdraw("a")).toBe("stop");
  expect(runs.finish("a", "1")).toBe(false);
  expect(runs.withdraw("a")).toBe("ignore");
  expect(runs.request("a")).toBe("ignore");
  expect(runs.withdraw("b")).toBe("ignore");
  expect(runs.request("b")).toBe("ignore");
});
