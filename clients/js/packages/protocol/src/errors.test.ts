/** One list of codes in every language; the family follows from the code. */
import { expect, test } from "vitest";
import { ErrorCodeSchema } from "../test/reference.js";
import { readRepo } from "../test/support.js";
import {
  actionFromWire,
  BotError,
  closeCodeOf,
  codeFromWire,
  codeOfClose,
  codeToWire,
  type ErrorCode,
  errorFromClose,
  errorFromWire,
  errorToWire,
  MediaError,
  makeError,
  ProtocolError,
  SessionError,
  SignalingError,
  TransportError,
  UsageError,
  VoxwireError,
} from "./errors.js";
import * as wire from "./wire.js";

const FAMILIES = {
  UsageError,
  SessionError,
  SignalingError,
  TransportError,
  MediaError,
  ProtocolError,
  BotError,
};

/** Rows of protocol/spec/errors.md, which Python's tests hold against its classes. */
const SPEC = [
  ...readRepo("protocol/spec/errors.md").matchAll(/^\| `([A-Z_]+)` \| (\d+) \| `(\w+)` \|/gm),
].map(([, name = "", number, family]) => ({
  code: name.toLowerCase() as ErrorCode,
  number: Number(number),
  family: family as keyof typeof FAMILIES,
}));

const CODES = ErrorCodeSchema.values.filter(({ number }) => number > 0);

test("the specification, the schema and Python have the same codes", () => {
  const schema = CODES.map(({ localName, number }) => [localName.toLowerCase(), number]);
  expect(SPEC.map(({ code, number }) => [code, number])).toEqual(schema);
  const python = readRepo("protocol/python/src/voxwire_protocol/errors.py");
  const [block = ""] = /^class ErrorCode\(IntEnum\)[\s\S]*?^class /m.exec(python) ?? [];
  const members = [...block.matchAll(/^ {4}([A-Z_]+) = (\d+)$/gm)];
  expect(members.map(([, name = "", number]) => [name.toLowerCase(), Number(number)])).toEqual(
    schema,
  );
});

test.each(SPEC)("$code is a $family", ({ code, number, family }) => {
  expect(codeToWire(code)).toBe(number);
  expect(codeFromWire(number)).toBe(code);
  expect(closeCodeOf(code)).toBe(4000 + number);
  expect(codeOfClose(4000 + number)).toBe(code);
  const error = makeError(code, "because");
  expect(error).toBeInstanceOf(FAMILIES[family]);
  expect(error).toBeInstanceOf(VoxwireError);
  expect(error.constructor).toBe(FAMILIES[family]);
  expect(String(error)).toBe(`${family}: ${code}: because`);
});

test("an error that says nothing more is final and has no cause", () => {
  const error = new VoxwireError("internal", "x");
  expect({ ...error }).toEqual({
    name: "VoxwireError",
    code: "internal",
    reason: "x",
    retryable: false,
    action: "none",
    retryAfterMs: 0,
  });
  expect("cause" in error).toBe(false);
  const cause = new Error("behind");
  expect(makeError("timeout", "x", { cause }).cause).toBe(cause);
});

test("an error keeps what it says over the wire, and its context is said with it", () => {
  for (const { code } of SPEC) {
    const error = makeError(code, "why", { retryable: true, action: "resume", retryAfterMs: 5 });
    const message = errorToWire(error, { fatal: true, inReplyToSeq: 7, subjectId: "s" });
    expect(errorFromWire(message)).toEqual(error);
    expect(message).toMatchObject({ fatal: true, inReplyToSeq: 7n, subjectId: "s" });
  }
  const plain = errorToWire(new UsageError("unsupported", "why"));
  expect(plain).toEqual(
    wire.create(wire.ErrorSchema, {
      code: wire.ErrorCode.UNSUPPORTED,
      reason: "why",
      action: wire.RecoveryAction.NONE,
    }),
  );
});

test("numbers that this version does not know have a meaning all the same", () => {
  for (const value of [0, -1, 5, 98, 100, 2 ** 31 - 1]) {
    expect(codeFromWire(value)).toBe("internal");
    expect(codeOfClose(4000 + value)).toBeUndefined();
  }
  expect([0, 1, 2, 3, 4, -1].map(actionFromWire)).toEqual([
    "none",
    "none",
    "resume",
    "reconnect",
    "none",
    "none",
  ]);
  const strange = wire.create(wire.ErrorSchema, {
    code: 1234 as wire.ErrorCode,
    action: 9 as never,
  });
  expect(errorFromWire(strange)).toEqual(new BotError("internal", "the peer gave no reason"));
});

test("a close code names an error, or says that the connection was lost", () => {
  expect(errorFromClose(4020, "bad token")).toEqual(new SessionError("unauthorized", "bad token"));
  expect(errorFromClose(4025).reason).toBe("the peer closed with code 4025");
  const advice = { retryable: true, action: "reconnect" } as const;
  expect(errorFromClose(1006)).toEqual(
    new TransportError("connection_lost", "the connection closed with code 1006", advice),
  );
  expect(errorFromClose(4000, "odd")).toEqual(
    new TransportError("connection_lost", "the connection closed with code 4000 (odd)", advice),
  );
  expect(errorFromClose(1013, "")).toMatchObject({ retryable: true, action: "reconnect" });
});
