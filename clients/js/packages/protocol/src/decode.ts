/** Bytes to messages; what is not a message of the schema is refused. */
import { type Chosen, type Fields, type Unknown, zeroMessage } from "./create.js";
import {
  DELIMITED,
  FIXED32,
  FIXED64,
  type Field,
  type Message,
  type MessageSchema,
  VARINT,
} from "./schema.js";

/** How deep groups, which only unknown fields can be, may lie in each other. */
const MAX_DEPTH = 32;
const GROUP = 3;
const END_GROUP = 4;
/** Of the platform; this package does without the DOM's types. */
declare const TextDecoder: new (
  label: string,
  options: { fatal: boolean; ignoreBOM: boolean },
) => { decode(bytes: Uint8Array): string };

const UTF8 = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A place in the bytes; nothing reads over `end`. */
class Reader {
  at = 0;
  end: number;
  /** The upper half of the varint that was read last. */
  high = 0;
  readonly data: Uint8Array;

  constructor(data: Uint8Array) {
    this.data = data;
    this.end = data.length;
  }

  /** The lower half of a varint, unsigned. */
  varint(): number {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.at >= this.end) break;
      const byte = this.data[this.at++] as number;
      if (shift < 28) low |= (byte & 0x7f) << shift;
      else if (shift > 28) high |= (byte & 0x7f) << (shift - 32);
      else {
        low |= byte << 28;
        high = (byte & 0x7f) >> 4;
      }
      if (byte < 0x80) {
        this.high = high >>> 0;
        return low >>> 0;
      }
    }
    throw new Error("a varint does not end");
  }

  /** A varint of 64 bits, unsigned. */
  long(): bigint {
    const low = this.varint();
    const { high } = this;
    return high < 0x20_0000
      ? BigInt(high * 0x1_0000_0000 + low)
      : (BigInt(high) << 32n) | BigInt(low);
  }

  /** A field's number and wire type, which make 32 bits in at most five bytes. */
  tag(): number {
    const from = this.at;
    const tag = this.varint();
    if (this.high || this.at - from > 5 || tag < 8) throw new Error("there is no such field");
    return tag;
  }

  /** Goes over `bytes` bytes; returns where they begin. */
  over(bytes: number): number {
    if (bytes > this.end - this.at) throw new Error("the bytes end too early");
    this.at += bytes;
    return this.at - bytes;
  }

  /** Goes over a length and what it measures; returns where that begins. */
  overDelimited(): number {
    const length = this.varint();
    return this.over(this.high ? Number.POSITIVE_INFINITY : length);
  }

  bytes(): Uint8Array {
    return this.data.subarray(this.overDelimited(), this.at);
  }

  double(): number {
    const at = this.over(8);
    return new DataView(this.data.buffer, this.data.byteOffset + at).getFloat64(0, true);
  }

  /** Goes over the value of a field that is not known. */
  skip(tag: number, depth = 0): void {
    const wireType = tag & 7;
    if (wireType === VARINT) this.varint();
    else if (wireType === FIXED64) this.over(8);
    else if (wireType === DELIMITED) this.overDelimited();
    else if (wireType === FIXED32) this.over(4);
    else if (wireType === GROUP && depth < MAX_DEPTH) this.#skipGroup(tag, depth + 1);
    else throw new Error("this cannot be a field");
  }

  #skipGroup(start: number, depth: number): void {
    const end = start - GROUP + END_GROUP;
    for (let tag = this.tag(); tag !== end; tag = this.tag()) this.skip(tag, depth);
  }

  /** Makes the next length the limit; returns the one before, for `leave`. */
  enter(): number {
    const { end } = this;
    const from = this.overDelimited();
    this.end = this.at;
    this.at = from;
    return end;
  }

  leave(end: number): void {
    this.end = end;
  }
}

function readScalar(reader: Reader, { kind }: Field): unknown {
  switch (kind) {
    case "u":
      return reader.varint();
    case "U":
      return reader.long();
    case "I":
      return BigInt.asIntN(64, reader.long());
    case "b":
      return (reader.varint() | reader.high) !== 0;
    case "d":
      return reader.double();
    case "s":
      return UTF8.decode(reader.bytes());
    case "y":
      return reader.bytes();
    default:
      return reader.varint() | 0;
  }
}

/** The value of a field; a message goes into the one that was there. */
function readValue(reader: Reader, field: Field, old?: unknown): unknown {
  const { message } = field;
  if (!message) return readScalar(reader, field);
  const into = (old as Fields | undefined) ?? zeroMessage(message);
  const end = reader.enter();
  readFields(reader, message, into);
  reader.leave(end);
  return into;
}

function readPacked(reader: Reader, field: Field, into: unknown[]): void {
  const end = reader.enter();
  while (reader.at < reader.end) into.push(readScalar(reader, field));
  reader.leave(end);
}

function readField(reader: Reader, field: Field, message: Fields): void {
  const { name, oneof } = field;
  if (field.repeated) {
    (message[name] as unknown[]).push(readValue(reader, field));
  } else if (oneof) {
    const chosen = message[oneof] as Chosen;
    const old = chosen.case === name ? chosen.value : undefined;
    message[oneof] = { case: name, value: readValue(reader, field, old) };
  } else {
    message[name] = readValue(reader, field, message[name]);
  }
}

/** Keeps what a newer version wrote: the channel tells an unknown payload from none by it. */
function keepUnknown(reader: Reader, tag: number, message: Fields): void {
  const from = reader.at;
  reader.skip(tag);
  const data = reader.data.subarray(from, reader.at);
  message.$unknown ??= [];
  (message.$unknown as Unknown[]).push({ no: tag >>> 3, wireType: tag & 7, data });
}

function readFields(reader: Reader, schema: MessageSchema, message: Fields): void {
  while (reader.at < reader.end) {
    const tag = reader.tag();
    const field = schema.byNumber[tag >>> 3];
    if (field?.tag === tag) readField(reader, field, message);
    else if (field?.packed === tag) readPacked(reader, field, message[field.name] as unknown[]);
    else keepUnknown(reader, tag, message);
  }
}

/**
 * Reads a message; fields of bytes are views of `bytes`, unknown fields in `$unknown`.
 *
 * @throws Error: cut off, longer than what it is in, no UTF-8, or no protobuf at all.
 */
export function fromBinary<T extends Message>(schema: MessageSchema<T>, bytes: Uint8Array): T {
  const message = zeroMessage(schema);
  readFields(new Reader(bytes), schema, message);
  return message as unknown as T;
}
