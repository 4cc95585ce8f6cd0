import { expect, test } from "vitest";
import { asJson, describe, familyOf, repeats } from "./describe-event.js";
import type { LogEntry } from "./log-entry.js";

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

test("no event is empty", () => {
  const device = { state: "granted", enabled: true, available: [] };
  const none = { state: "uninitialized", enabled: false, available: [] };
  const devices = { microphone: device, camera: none, speaker: device, screen: none };
  expect(describe(entry("devices", devices))).toBe("microphone granted · speaker granted");
  expect(describe(entry("interrupted", { source: "voice", utteranceId: "u1" }))).toBe(
    "source voice · utteranceId u1",
  );
  expect(describe(entry("stateChanged", { bot: "idle", user: "silent", mediaMs: 0 }))).toBe(
    "bot idle · user silent",
  );
  expect(describe(entry("eventsSkipped", { snapshot: { turns: [] } }))).toBe(
    '{"snapshot":{"turns":[]}}',
  );
  expect(describe(entry("somethingNew", {}))).toBe("no details");
});

test("what is told twice is listed once: a lost connection, devices that did not change", () => {
  const away = (attempt: number) => entry("status", { status: "reconnecting", attempt });
  const changed = (attempt: number) =>
    entry("connectionChanged", { state: "reconnecting", attempt, epoch: 1, afterMs: 0 });
  expect(repeats(changed(2), [away(1), away(2), entry("botWord", {})])).toBe(true);
  expect(repeats(changed(2), [away(1)])).toBe(false);
  expect(repeats(entry("connectionChanged", { state: "connected", attempt: 2 }), [away(2)])).toBe(
    false,
  );
  const devices = entry("devices", { microphone: { state: "granted" } });
  expect(repeats(devices, [devices])).toBe(true);
  expect(repeats(devices, [entry("devices", {})])).toBe(false);
  expect(repeats(entry("botWord", { text: "a" }), [entry("botWord", { text: "a" })])).toBe(false);
});
