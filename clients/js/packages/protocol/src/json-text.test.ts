/** JSON from a peer is bounded, finite and can be sent on. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { thrown } from "../test/support.js";
import { ProtocolError } from "./errors.js";
import {
  dumpJson,
  jsonFault,
  MAX_JSON_BYTES,
  MAX_VALUE_NODES,
  parseJson,
  utf8Length,
} from "./json-text.js";

const codeOf = (call: () => unknown) => thrown(ProtocolError, call).code;

const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);

test("every JSON value of a bounded size comes through", () => {
  const value = fc.jsonValue({ maxDepth: 8, depthSize: "small" });
  fc.assert(
    fc.property(value, (one) => {
      const text = dumpJson(one);
      expect(parseJson(text)).toEqual(JSON.parse(text));
    }),
  );
});

test("the largest text is measured in bytes of UTF-8", () => {
  for (const [char, bytes] of [
    ["a", 1],
    ["é", 2],
    ["語", 3],
    ["😀", 4],
  ] as const) {
    const text = JSON.stringify(char.repeat(10));
    expect(parseJson(text, { maxBytes: 10 * bytes + 2 })).toBe(char.repeat(10));
    expect(codeOf(() => parseJson(text, { maxBytes: 10 * bytes + 1 }))).toBe("too_large");
  }
  expect(parseJson(`"${"x".repeat(MAX_JSON_BYTES - 2)}"`)).toHaveLength(MAX_JSON_BYTES - 2);
  expect(codeOf(() => parseJson(`"${"x".repeat(MAX_JSON_BYTES)}"`))).toBe("too_large");
});

test.each([
  "",
  "{",
  "NaN",
  "Infinity",
  "-Infinity",
  "[1e999]",
  "'a'",
  '"\\ud800"',
  '{"\\udc00":1}',
])("%s is refused without being repeated", (text) => {
  const error = thrown(ProtocolError, () => parseJson(text));
  expect(error.code).toBe("malformed");
  if (text.length > 1) expect(error.reason).not.toContain(text);
});

test("half a pair of surrogates counts as Python counts it", () => {
  expect(["\ud800", "\udc00x", "\ud83d\ude00"].map(utf8Length)).toEqual([3, 4, 4]);
});

test("pairs of surrogates are whole characters", () => {
  expect(parseJson('"\\ud83d\\ude00"')).toBe("😀");
});

test("nesting and branching are bounded", () => {
  expect(parseJson(nested(33))).toBeTruthy();
  expect(codeOf(() => parseJson(nested(34)))).toBe("malformed");
  expect(codeOf(() => parseJson(nested(20_000)))).toBe("malformed");
  const flat = Array(MAX_VALUE_NODES - 1).fill(0);
  expect(parseJson(JSON.stringify(flat))).toHaveLength(MAX_VALUE_NODES - 1);
  expect(codeOf(() => parseJson(JSON.stringify([...flat, 0])))).toBe("malformed");
});

test("what JSON does not have is not written", () => {
  const loop: unknown[] = [];
  loop.push(loop);
  for (const value of [
    Number.NaN,
    [Number.POSITIVE_INFINITY],
    1n,
    () => 0,
    { a: Symbol() },
    loop,
  ]) {
    expect(codeOf(() => dumpJson(value))).toBe("malformed");
  }
  expect(codeOf(() => dumpJson("\ud800"))).toBe("malformed");
  expect(codeOf(() => dumpJson("xxx", { maxBytes: 4 }))).toBe("too_large");
});

test("undefined is left out, or null where there is nothing else", () => {
  expect(dumpJson(undefined)).toBe("null");
  expect(dumpJson({ a: undefined, b: [undefined] })).toBe('{"b":[null]}');
  expect(dumpJson({ toJSON: () => undefined })).toBe("null");
});

test("a fault says what is wrong with a value that never was text", () => {
  expect(jsonFault({ a: [1, "x", true, null] })).toBe("");
  expect(jsonFault({ a: undefined })).toBe("is not JSON");
  expect(jsonFault(Number.NaN)).toBe("is not JSON");
});
