/** The page's codec does what protobuf-es does, byte for byte. */
import { isDeepStrictEqual } from "node:util";
import * as es from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { create, fromBinary, type Message, type MessageSchema, toBinary } from "../src/codec.js";
import * as wire from "../src/wire.js";
import { initOf, MESSAGES, oddity } from "./random-messages.js";
import * as reference from "./reference.js";
import { hex, unhex } from "./support.js";

const OURS = new Map(
  Object.values(wire).flatMap((value) =>
    typeof value === "object" && "typeName" in value ? [[value.typeName as string, value]] : [],
  ) as [string, MessageSchema][],
);

function oursOf({ typeName }: es.DescMessage): MessageSchema {
  const schema = OURS.get(typeName);
  if (!schema) throw new Error(`${typeName} has no table`);
  return schema;
}

/** Equal to the last bit: NaN, -0, and which fields there are. */
function same(one: unknown, other: unknown): void {
  if (!isDeepStrictEqual(one, other)) expect(one).toStrictEqual(other);
}

const sameBytes = (one: Uint8Array, other: Uint8Array) => expect(hex(one)).toBe(hex(other));

describe("tables", () => {
  test("every message of the schema has one", () => {
    expect([...OURS.keys()].sort()).toEqual(MESSAGES.map(({ typeName }) => typeName).sort());
    expect(MESSAGES.length).toBeGreaterThan(50);
  });

  test.each(MESSAGES)("$name has the fields of the schema", (desc) => {
    const wanted = [...desc.fields].sort((a, b) => a.number - b.number);
    const fields = oursOf(desc).fields.map((field) => ({
      ...[field.number, field.name, field.repeated, field.oneof],
      optional: field.optional && !field.message,
      of: field.message?.typeName ?? field.enum?.name,
    }));
    expect(fields).toEqual(
      wanted.map((field) => ({
        ...[
          field.number,
          field.localName,
          field.fieldKind === "list",
          field.oneof?.localName ?? "",
        ],
        optional: field.proto.proto3Optional,
        of: field.message?.typeName ?? field.enum?.name,
      })),
    );
  });

  const enums = Object.entries(reference).flatMap(([name, value]) =>
    "kind" in value && value.kind === "enum" ? [[name, value] as const] : [],
  );
  test.each(enums)("%s has the constants of the schema", (name, desc) => {
    const exported: Record<string, unknown> = { ...wire };
    const theirs: Record<string, unknown> = { ...reference };
    expect(exported[name]).toMatchObject({ name: desc.name, constants: theirs[desc.name] });
    expect(exported[desc.name]).toEqual(theirs[desc.name]);
  });
});

describe("random messages", () => {
  test.each(MESSAGES)("$name: made, written and read alike", (desc) => {
    const schema = oursOf(desc);
    fc.assert(
      fc.property(initOf(desc), (init) => {
        const [ours, theirs] = [create(schema, init as never), es.create(desc, init)];
        same(ours, theirs);
        const bytes = es.toBinary(desc, theirs);
        sameBytes(toBinary(schema, ours), bytes);
        same(fromBinary(schema, bytes), es.fromBinary(desc, bytes));
        sameBytes(toBinary(schema, es.fromBinary(desc, bytes)), bytes);
        sameBytes(es.toBinary(desc, fromBinary(schema, bytes) as es.Message), bytes);
      }),
      { numRuns: 30 },
    );
  });

  test.each(MESSAGES)("$name: two behind each other are merged alike", (desc) => {
    const bytes = initOf(desc).map((init) => es.toBinary(desc, es.create(desc, init)));
    fc.assert(
      fc.property(bytes, bytes, (one, other) => {
        const both = Uint8Array.from([...one, ...other]);
        same(fromBinary(oursOf(desc), both), es.fromBinary(desc, both));
      }),
      { numRuns: 20 },
    );
  });
});

const EDIT = fc.record({
  at: fc.nat(),
  verb: fc.constantFrom("set", "insert", "remove", "cut", "repeat"),
  byte: fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff)),
});

type Edit = typeof EDIT extends fc.Arbitrary<infer E> ? E : never;

function edited(bytes: Uint8Array, edits: readonly Edit[]): Uint8Array {
  const out = [...bytes];
  for (const { at: place, verb, byte } of edits) {
    const at = place % (out.length + 1);
    if (verb === "set") out[Math.min(at, Math.max(0, out.length - 1))] = byte;
    else if (verb === "insert") out.splice(at, 0, byte);
    else if (verb === "remove") out.splice(at, 1 + (byte % 4));
    else if (verb === "cut") out.length = at;
    else out.splice(at, 0, ...out.slice(at, at + (byte % 16)));
  }
  return Uint8Array.from(out);
}

function outcome(read: () => unknown): { message: unknown } | { error: unknown } {
  try {
    return { message: read() };
  } catch (error) {
    return { error };
  }
}

/** How an outcome that is not protobuf-es' is allowed: by what is odd in the bytes, or not at all. */
function compare(desc: es.DescMessage, bytes: Uint8Array): void {
  const ours = outcome(() => fromBinary(oursOf(desc), bytes));
  const theirs = outcome(() => es.fromBinary(desc, bytes));
  const odd = oddity(desc, bytes);
  const where = `${desc.name} ${hex(bytes)}: ${odd ?? "nothing odd"}`;
  if ("error" in ours) {
    expect(ours.error, where).toBeInstanceOf(Error);
    if (!("error" in theirs)) {
      expect(["overrun", "length", "varint", "wire type"], where).toContain(odd);
    }
  } else if ("error" in theirs) {
    expect(odd, where).toBe("wire type");
  } else if (odd !== "wire type" && odd !== "mark") {
    same(ours.message, theirs.message);
  }
}

test("edited bytes: refused, or read as protobuf-es reads them but for what is odd", () => {
  const of = fc.constantFrom(
    ...MESSAGES,
    ...Array<(typeof MESSAGES)[0]>(40).fill(reference.EnvelopeSchema),
  );
  const cases = of.chain((desc) =>
    initOf(desc).map((init) => ({ desc, bytes: es.toBinary(desc, es.create(desc, init)) })),
  );
  const edits = fc.array(EDIT, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(cases, edits, ({ desc, bytes }, list) => compare(desc, edited(bytes, list))),
    { numRuns: 1500 },
  );
});

test("any bytes: refused, or read as protobuf-es reads them but for what is odd", () => {
  const of = fc.constantFrom(...MESSAGES);
  fc.assert(fc.property(of, fc.uint8Array({ maxLength: 40 }), compare), { numRuns: 3000 });
});

const read = (text: string, desc: es.DescMessage = reference.EnvelopeSchema): unknown =>
  fromBinary(oursOf(desc), unhex(text));

test.each([
  ["a varint that is cut off", "0880"],
  ["a varint of eleven bytes", "0880808080808080808080808000"],
  ["an unknown varint of eleven bytes", "c03e80808080808080808080808000"],
  ["a tag without a number", "0000"],
  ["a tag of six bytes", "888080808000"],
  ["a tag above 32 bits", "888080801001"],
  ["wire type 6", "c63e00"],
  ["wire type 7", "c73e00"],
  ["a length behind the end", "1a0508011001"],
  ["a length above 32 bits", "1a82808080100801"],
  ["a field longer than its message", "1a0422050000000000"],
  ["a group that does not end", "c33e0801"],
  ["a group that ends as another", "c33ecc3e"],
  ["an end without a group", "c43e"],
  ["a double that is cut off", "b204080a0621000000000000"],
  ["half of a pair of surrogates", "fa03050a03eda080"],
  ["a text that is no UTF-8", "fa03040a02c328"],
  ["groups in groups without end", "c33e".repeat(40) + "c43e".repeat(40)],
])("refused: %s", (_, text) => {
  expect(() => read(text)).toThrow();
});

test.each([
  ["a known field of another wire type", "0a0201020803", 3n],
  ["a fixed one of a new version", "c13e0102030405060708c53e010203040803", 3n],
  ["a group in a group", "c33ecb3e0801cc3ec43e0803", 3n],
  ["a message of a new version", "c23e0301020308030807", 7n],
])("unknown, and gone over: %s", (_, text, seq) => {
  const message = read(text) as wire.Envelope;
  expect(message.seq).toBe(seq);
  expect(message.$unknown?.length).toBeGreaterThan(0);
  expect(message.payload).toEqual({ case: undefined });
});

test("enums of a list are read packed, one by one and mixed, and written packed", () => {
  const list = [wire.Feature.FLUSH, 99, -1];
  const packed = "3a0c0263ffffffffffffffffff01";
  const single = "3802386338ffffffffffffffffff01";
  for (const text of [packed, single, "38023a0b63ffffffffffffffffff01"]) {
    const message = read(text, reference.HelloSchema) as wire.Hello;
    expect(message.features).toEqual(list);
    expect(hex(toBinary(wire.HelloSchema, message))).toBe(packed);
  }
});

test("a bool is true when any of its 64 bits is", () => {
  const playing = ["388080808010", "3880808080808001", "3802", "388000"].map(
    (text) => (read(text, reference.PlayoutReportSchema) as wire.PlayoutReport).playing,
  );
  expect(playing).toEqual([true, true, true, false]);
});

test("bytes are views of what was read, and are copied where they are written", () => {
  const sent = wire.envelope({ case: "audio", value: { data: new Uint8Array([1, 2, 3]) } });
  const bytes = wire.encodeEnvelope(sent);
  const { payload } = wire.decodeEnvelope(bytes);
  if (payload.case !== "audio") throw new Error("another payload");
  expect(payload.value.data.buffer).toBe(bytes.buffer);
  bytes.fill(9);
  expect(payload.value.data).toEqual(new Uint8Array([9, 9, 9]));
  expect(sent.payload.value).toMatchObject({ data: new Uint8Array([1, 2, 3]) });
});

test("a text keeps its byte order mark, and half a pair is written as protobuf-es does", () => {
  const marked = create(wire.ErrorSchema, { reason: "\ufeffa" });
  same(fromBinary(wire.ErrorSchema, toBinary(wire.ErrorSchema, marked)), marked);
  const half = { reason: "a\ud800b" };
  const theirs = es.toBinary(reference.ErrorSchema, es.create(reference.ErrorSchema, half));
  sameBytes(toBinary(wire.ErrorSchema, create(wire.ErrorSchema, half)), theirs);
});

test.each<[string, MessageSchema, object]>([
  ["a negative uint32", wire.PingSchema, { number: -1 }],
  ["a uint32 above 32 bits", wire.PingSchema, { number: 2 ** 32 }],
  ["a uint32 that is no integer", wire.PingSchema, { number: 1.5 }],
  ["a negative uint64", wire.PingSchema, { t0Us: -1n }],
  ["a uint64 above 64 bits", wire.PingSchema, { t0Us: 2n ** 64n }],
  ["an enum above 32 bits", wire.ErrorSchema, { code: 2 ** 31 }],
])("what does not fit is not written: %s", (_, schema, init) => {
  const message: Message = create(schema, init as never);
  expect(() => toBinary(schema, message)).toThrow(RangeError);
});
