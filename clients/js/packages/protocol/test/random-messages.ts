/** Random messages of the reference's schemas, and what is odd about bytes that hold them. */
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import * as reference from "./reference.js";

type Init = Record<string, unknown>;

/** Every message of the schema. */
export const MESSAGES: readonly DescMessage[] = Object.values(reference).flatMap((value) =>
  "kind" in value && value.kind === "file" ? value.messages : [],
);

const UINT32 = fc.oneof(fc.nat(300), fc.constantFrom(0xffff_ffff, 0x8000_0000), fc.nat());
const UINT64 = fc.oneof(
  fc.bigInt(0n, 300n),
  fc.constantFrom(2n ** 53n - 1n, 2n ** 53n + 1n, 2n ** 56n, 2n ** 63n, 2n ** 64n - 1n),
  fc.bigInt(0n, 2n ** 64n - 1n),
);
const INT32 = fc.oneof(fc.nat(12), fc.constantFrom(-1, -(2 ** 31), 2 ** 31 - 1, 99));
/** protobuf-es drops a byte order mark; see `oddity`. */
const TEXT = fc
  .oneof(fc.string({ maxLength: 6 }), fc.string({ unit: "binary", maxLength: 9 }))
  .map((text) => text.replace(/^\ufeff+/, ""));

function scalar(type: ScalarType): fc.Arbitrary<unknown> {
  switch (type) {
    case ScalarType.UINT32:
      return UINT32;
    case ScalarType.UINT64:
      return UINT64;
    case ScalarType.INT32:
      return INT32;
    case ScalarType.INT64:
      return UINT64.map((bits) => BigInt.asIntN(64, bits));
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.DOUBLE:
      return fc.oneof(fc.double(), fc.constantFrom(0, -0, Number.NaN, Number.NEGATIVE_INFINITY));
    case ScalarType.STRING:
      return TEXT;
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 200 });
    default:
      throw new Error(`the schema has a new type: ${type}`);
  }
}

function fieldOf(field: DescField): fc.Arbitrary<unknown> {
  switch (field.fieldKind) {
    case "scalar":
      return scalar(field.scalar);
    case "enum":
      return INT32;
    case "message":
      return initOf(field.message);
    case "list": {
      if (field.listKind === "message") return fc.array(initOf(field.message), { maxLength: 3 });
      const item = field.listKind === "enum" ? INT32 : scalar(field.scalar);
      return fc.array(item, { maxLength: 4 });
    }
    default:
      throw new Error(`the schema has a new kind: ${field.fieldKind}`);
  }
}

/** What a message can be made of, with fields that are set, zero, or not there. */
export function initOf(desc: DescMessage): fc.Arbitrary<Init> {
  const members: Record<string, fc.Arbitrary<unknown>> = {};
  for (const member of desc.members) {
    if (member.kind === "field") {
      members[member.localName] = fieldOf(member);
    } else {
      const arms = member.fields.map((field) =>
        fieldOf(field).map((value) => ({ case: field.localName, value })),
      );
      members[member.localName] = fc.oneof(fc.constant({ case: undefined }), ...arms);
    }
  }
  return fc.record(members, { requiredKeys: [] });
}

function wireTypes(field: DescField): readonly WireType[] {
  const type = field.fieldKind === "enum" ? ScalarType.INT32 : field.scalar;
  const isEnums = field.fieldKind === "list" && field.listKind === "enum";
  if (type === ScalarType.DOUBLE) return [WireType.Bit64];
  const isText = type === ScalarType.STRING || type === ScalarType.BYTES;
  if (isText || (type === undefined && !isEnums)) return [WireType.LengthDelimited];
  const packed = field.fieldKind === "list" ? [WireType.LengthDelimited] : [];
  return [WireType.Varint, ...packed];
}

/**
 * The first thing in some bytes on which protobuf-es is not what the specification says, or
 * laxer; undefined for none.
 *
 * - "wire type": a field that is known lies there as another type. protobuf-es reads it as its
 *   own type all the same; we keep it as unknown, as Python does.
 * - "overrun": a field is longer than the message that it is in. protobuf-es looks at the end of
 *   the whole buffer only; we refuse it, as Python does.
 * - "length": a length of more than 32 bits, which protobuf-es cuts to 32; we refuse it.
 * - "varint": of an unknown field, in more than ten bytes; we refuse it.
 * - "mark": a text that begins with a byte order mark, which protobuf-es drops, so that words would
 *   lie one character off; we keep it, as Python does.
 */
export function oddity(desc: DescMessage, bytes: Uint8Array): string | undefined {
  try {
    return oddityWithin(desc, new BinaryReader(bytes), bytes.length);
  } catch {
    return undefined;
  }
}

function oddityWithin(desc: DescMessage, reader: BinaryReader, end: number): string | undefined {
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    const field = desc.fields.find((one) => one.number === number);
    const odd = field
      ? oddityOf(field, wireType, reader, end)
      : oddityOfUnknown(reader, wireType, number);
    if (odd) return odd;
    if (reader.pos > end) return "overrun";
  }
  return undefined;
}

function oddityOfUnknown(reader: BinaryReader, wireType: WireType, number: number) {
  const from = reader.pos;
  if (wireType === WireType.LengthDelimited) {
    if (reader.uint64().toString().length > 9) return "length";
    reader.pos = from;
  }
  reader.skip(wireType, number);
  return wireType === WireType.Varint && reader.pos - from > 10 ? "varint" : undefined;
}

function oddityOf(field: DescField, wireType: WireType, reader: BinaryReader, end: number) {
  if (!wireTypes(field).includes(wireType)) return "wire type";
  if (wireType !== WireType.LengthDelimited) {
    reader.skip(wireType, field.number);
    return undefined;
  }
  const length = Number(reader.uint64());
  if (length > 0xffff_ffff) return "length";
  const to = reader.pos + length;
  if (to > end) return "overrun";
  if (field.message) return oddityWithin(field.message, reader, to);
  const text = field.fieldKind !== "enum" && field.scalar === ScalarType.STRING;
  const body = Buffer.from(reader.buf.subarray(reader.pos, to));
  if (text && body.subarray(0, 3).equals(Buffer.from("efbbbf", "hex"))) return "mark";
  if (field.fieldKind === "list" && !text) while (reader.pos < to) reader.uint64();
  else reader.pos = to;
  return reader.pos === to ? undefined : "overrun";
}
