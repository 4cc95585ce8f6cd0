/** Messages to bytes: fields by ascending number, as every protobuf library writes them. */
import { type Chosen, type Fields, isOneof, type Unknown } from "./create.js";
import type { Field, Message, MessageSchema } from "./schema.js";

/** Of the platform; this package does without the DOM's types. */
declare const TextEncoder: new () => { encode(text: string): Uint8Array };

const UTF8 = /* @__PURE__ */ new TextEncoder();
const MAX_UINT32 = 0xffff_ffff;
const MAX_SAFE = Number.MAX_SAFE_INTEGER;

/** Number of bytes of a varint. */
function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}

/** Collects what to write, so that it is copied once, into a buffer of the right size. */
class Writer {
  /** Varints of at most 53 bits, and bytes. */
  readonly #parts: (number | Uint8Array)[] = [];
  #size = 0;

  varint(value: number): void {
    this.#parts.push(value);
    this.#size += varintBytes(value);
  }

  /** A varint of 64 bits. */
  long(value: bigint): void {
    if (value <= MAX_SAFE) {
      this.varint(Number(value));
      return;
    }
    const bytes: number[] = [];
    let rest = value;
    for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
    this.raw(Uint8Array.of(...bytes, Number(rest)));
  }

  raw(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.#size += bytes.length;
  }

  /** Leaves room for the length of what is written until `end`. */
  begin(): number {
    return this.#parts.push(this.#size) - 1;
  }

  end(at: number): void {
    const length = this.#size - (this.#parts[at] as number);
    this.#parts[at] = length;
    this.#size += varintBytes(length);
  }

  finish(): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(this.#size);
    let at = 0;
    for (const part of this.#parts) {
      if (typeof part !== "number") {
        out.set(part, at);
        at += part.length;
        continue;
      }
      let rest = part;
      for (; rest > MAX_UINT32; rest = Math.floor(rest / 0x80)) out[at++] = (rest & 0x7f) | 0x80;
      for (; rest > 0x7f; rest >>>= 7) out[at++] = (rest & 0x7f) | 0x80;
      out[at++] = rest;
    }
    return out;
  }
}

function checked<V>({ name }: Field, value: V, fits: boolean): V {
  if (!fits) throw new RangeError(`${name} cannot be ${value}`);
  return value;
}

function writeSigned(writer: Writer, value: number): void {
  if (value < 0) writer.long(BigInt.asUintN(64, BigInt(value)));
  else writer.varint(value);
}

function writeLong(writer: Writer, field: Field, value: bigint): void {
  const bits = BigInt.asUintN(64, value);
  writer.long(
    checked(field, bits, value === (field.kind === "U" ? bits : BigInt.asIntN(64, bits))),
  );
}

function writeDouble(writer: Writer, value: number): void {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  writer.raw(bytes);
}

function writeBytes(writer: Writer, bytes: Uint8Array): void {
  writer.varint(bytes.length);
  writer.raw(bytes);
}

/** The value of a field, without its tag. */
function writeValue(writer: Writer, field: Field, value: unknown): void {
  switch (field.kind) {
    case "b":
      writer.varint(value ? 1 : 0);
      break;
    case "u":
      writer.varint(checked(field, value as number, (value as number) >>> 0 === value));
      break;
    case "e":
    case "i":
      writeSigned(writer, checked(field, value as number, ((value as number) | 0) === value));
      break;
    case "U":
    case "I":
      writeLong(writer, field, value as bigint);
      break;
    case "d":
      writeDouble(writer, value as number);
      break;
    case "s":
      writeBytes(writer, UTF8.encode(value as string));
      break;
    case "y":
      writeBytes(writer, value as Uint8Array);
      break;
    case "m": {
      const at = writer.begin();
      writeMessage(writer, field.message as MessageSchema, value as Fields);
      writer.end(at);
    }
  }
}

/** True when a field that knows no difference between 0 and "not there" has to be written. */
function isSaid({ kind }: Field, value: unknown): boolean {
  if (kind === "y") return (value as Uint8Array).length > 0;
  return kind === "d" ? !Object.is(value, 0) : Boolean(value);
}

function writeOne(writer: Writer, field: Field, value: unknown): void {
  writer.varint(field.tag);
  writeValue(writer, field, value);
}

function writeList(writer: Writer, field: Field, items: readonly unknown[]): void {
  if (!field.packed) {
    for (const item of items) writeOne(writer, field, item);
  } else if (items.length > 0) {
    writer.varint(field.packed);
    const at = writer.begin();
    for (const item of items) writeValue(writer, field, item);
    writer.end(at);
  }
}

function writeMessage(writer: Writer, schema: MessageSchema, message: Fields): void {
  for (const member of schema.members) {
    const value = message[member.name];
    if (value === undefined || value === null) continue;
    if (isOneof(member)) {
      const chosen = value as Chosen;
      const arm = member.arms.get(chosen.case);
      if (arm) writeOne(writer, arm, chosen.value);
    } else if (member.repeated) {
      writeList(writer, member, value as readonly unknown[]);
    } else if (member.optional || isSaid(member, value)) {
      writeOne(writer, member, value);
    }
  }
  for (const { no, wireType, data } of (message.$unknown ?? []) as readonly Unknown[]) {
    writer.varint(no * 8 + wireType);
    writer.raw(data);
  }
}

/**
 * The bytes of a message.
 *
 * @throws RangeError: a number does not fit its field.
 */
export function toBinary<T extends Message>(
  schema: MessageSchema<T>,
  message: T,
): Uint8Array<ArrayBuffer> {
  const writer = new Writer();
  writeMessage(writer, schema, message as unknown as Fields);
  return writer.finish();
}
