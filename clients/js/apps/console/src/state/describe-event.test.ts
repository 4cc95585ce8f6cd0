import { expect, test } from "vitest";
import { asJson, describe, familyOf } from "./describe-event.js";
import type { LogEntry } from "./recorder.js";

const entry = (type: string, event: object) =>
  ({ number: 0, atMs: 0, type, event }) as unknown as LogEntry;

test("an event is told in one line", () => {
  expect(describe(entry("botWord", { text: "hello", startMs: 3 }))).toBe("hello");
  expect(describe(entry("toolCallEnded", { name: "get_weather", outcome: "done" }))).toBe(
    "name get_weather · outcome done",
  );
  expect(describe(entry("turnMetrics", { totalMs: 801.4 }))).toBe("totalMs 801 ms");
});

test("every event has a family; what is new belongs to the session", () => {
  expect(familyOf(entry("botWord", {}))).toBe("words");
  expect(familyOf(entry("somethingNew", {}))).toBe("session");
});

test("JSON takes bigints and errors", () => {
  expect(asJson({ a: 1n, error: new Error("gone") }, 0)).toBe(
    '{"a":1,"error":{"name":"Error","message":"gone"}}',
  );
});
