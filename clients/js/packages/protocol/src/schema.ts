/** What the generated tables are made of: the schemas of messages and enums, read from strings. */

/** What every message has; the generated types say the rest. */
export interface Message {
  readonly $typeName: string;
}

/** Kind of a field: u uint32, U uint64, i int32, I int64, b bool, d double, s string, y bytes,
 * e enum, m message. */
export type Kind = "u" | "U" | "i" | "I" | "b" | "d" | "s" | "y" | "e" | "m";

/** How a value lies on the wire. */
export const VARINT = 0;
export const FIXED64 = 1;
export const DELIMITED = 2;
export const FIXED32 = 5;

/** An enum: its name and its constants, both ways like those of TypeScript. */
export interface EnumSchema<E = object> {
  readonly name: string;
  readonly constants: Readonly<Record<string, number> & Record<number, string>>;
  /** For the compiler; never there. */
  readonly type?: E;
}

/** A field of a message. */
export interface Field {
  readonly number: number;
  /** Number and wire type, as one value has it. */
  readonly tag: number;
  /** Number and wire type of many numbers in one; 0 for what is not a list of numbers. */
  readonly packed: number;
  /** The property, or the case of its oneof. */
  readonly name: string;
  readonly kind: Kind;
  readonly repeated: boolean;
  /** True when 0 and "not there" are two things. */
  readonly optional: boolean;
  /** The property of the oneof that it is in; empty = none. */
  readonly oneof: string;
  /** What a field of kind m holds. */
  readonly message: MessageSchema | undefined;
  /** What a field of kind e holds. */
  readonly enum: EnumSchema | undefined;
}

/** Neighbours by number that are in one oneof. */
export interface Arms {
  /** The property of the oneof. */
  readonly name: string;
  readonly arms: ReadonlyMap<unknown, Field>;
}

/** A message: how it is made, written and read. */
export interface MessageSchema<T extends Message = Message> {
  readonly typeName: T["$typeName"];
  /** By ascending number. */
  readonly fields: readonly Field[];
  /** By number; has holes. */
  readonly byNumber: readonly (Field | undefined)[];
  /** `fields`, with those of a oneof taken together. */
  readonly members: readonly (Field | Arms)[];
  /** For the compiler; never there. */
  readonly type?: T;
}

/** Reads an enum from `NAME NAME 20 NAME`: numbers count from 0, or from what is said. */
export function enumSchema<E>(name: string, values: string): EnumSchema<E> {
  const constants: Record<string | number, string | number> = {};
  let next = 0;
  for (const word of values.split(" ")) {
    if (word >= "A") {
      constants[word] = next;
      constants[next++] = word;
    } else {
      next = Number(word);
    }
  }
  return { name, constants: constants as EnumSchema["constants"] };
}

/** The object that stands for an enum in programs. */
export function constantsOf<E>(schema: EnumSchema<E>): E {
  return schema.constants as E;
}

function wireTypeOf(kind: Kind): number {
  if (kind === "d") return FIXED64;
  return kind === "s" || kind === "y" || kind === "m" ? DELIMITED : VARINT;
}

/**
 * Reads a message from the string that scripts/gen_tables.py describes.
 *
 * @param name - In its package; of `voxwire.v1` unless it names one.
 * @param held - What fields of kind m and e hold, in their order.
 */
export function messageSchema<T extends Message>(
  name: string,
  spec: string,
  held: readonly (MessageSchema | EnumSchema)[] = [],
): MessageSchema<T> {
  const fields: Field[] = [];
  const byNumber: Field[] = [];
  const members: (Field | Arms)[] = [];
  const holds = held[Symbol.iterator]();
  let number = 0;
  let oneof = "";
  let arms = new Map<unknown, Field>();
  for (const [, jump, property = "", letter, label] of spec.matchAll(
    /(\d*)([a-z]\w*):(.)([*?}]?)/g,
  )) {
    if (letter === "{") {
      oneof = property;
      arms = new Map();
      members.push({ name: oneof, arms });
      continue;
    }
    number = Number(jump || number + 1);
    const kind = letter as Kind;
    const wireType = wireTypeOf(kind);
    const repeated = label === "*";
    const field: Field = {
      number,
      tag: (number << 3) | wireType,
      packed: repeated && wireType !== DELIMITED ? (number << 3) | DELIMITED : 0,
      name: property,
      kind,
      repeated,
      optional: label === "?" || kind === "m",
      oneof,
      message: kind === "m" ? (holds.next().value as MessageSchema) : undefined,
      enum: kind === "e" ? (holds.next().value as EnumSchema) : undefined,
    };
    fields.push(field);
    byNumber[number] = field;
    if (oneof) arms.set(property, field);
    else members.push(field);
    if (label === "}") oneof = "";
  }
  const typeName = (name.includes(".") ? name : `voxwire.v1.${name}`) as T["$typeName"];
  return { typeName, fields, byNumber, members };
}
