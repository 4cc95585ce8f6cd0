/** Messages made of what a program gives; what it leaves out is empty. */
import type { Arms, Field, Message, MessageSchema } from "./schema.js";

/** The message that a schema describes. */
export type MessageShape<S> = S extends MessageSchema<infer T> ? T : never;

/** What a message can be made of: itself, or those of its fields that are not empty. */
export type MessageInitShape<S> = S extends MessageSchema<infer T> ? MessageInit<T> : never;

type MessageInit<T extends Message> =
  | T
  | {
      [P in keyof T as P extends "$unknown" ? never : P]?: P extends "$typeName"
        ? never
        : FieldInit<T[P]>;
    };

type FieldInit<F> = F extends Uint8Array | bigint | boolean | string | number
  ? F
  : F extends readonly (infer U)[]
    ? FieldInit<U>[]
    : F extends Message
      ? MessageInit<F>
      : F extends { case: infer C extends string; value: infer V extends Message }
        ? { case: C; value: MessageInit<V> }
        : F;

/** A message as the codec sees it. */
export type Fields = Record<string, unknown>;

/** A field that the schema does not know, in a message's `$unknown`. */
export interface Unknown {
  readonly no: number;
  readonly wireType: number;
  /** What stands behind the tag. */
  readonly data: Uint8Array;
}

/** What the property of a oneof holds. */
export interface Chosen {
  readonly case: string | undefined;
  readonly value?: unknown;
}

/** True for the fields of a oneof. */
export function isOneof(member: Field | Arms): member is Arms {
  return "arms" in member;
}

function zeroOf({ kind, repeated }: Field): unknown {
  if (repeated) return [];
  switch (kind) {
    case "U":
    case "I":
      return 0n;
    case "b":
      return false;
    case "s":
      return "";
    case "y":
      return new Uint8Array(0);
    default:
      return 0;
  }
}

/** A message with nothing in it. */
export function zeroMessage(schema: MessageSchema): Fields {
  const message: Fields = { $typeName: schema.typeName };
  for (const member of schema.members) {
    if (isOneof(member)) message[member.name] = { case: undefined };
    else if (member.repeated || !member.optional) message[member.name] = zeroOf(member);
  }
  return message;
}

function made(field: Field, value: unknown): unknown {
  const { message } = field;
  if (!message) return value;
  return field.repeated
    ? (value as readonly Message[]).map((item) => create(message, item))
    : create(message, value as Message);
}

/** Makes a message; one that is a message already is given back as it is. */
export function create<T extends Message>(
  schema: MessageSchema<T>,
  init?: NoInfer<MessageInit<T>>,
): T {
  const given = (init ?? {}) as Fields;
  if (given.$typeName === schema.typeName) return given as unknown as T;
  const message = zeroMessage(schema);
  for (const member of schema.members) {
    const value = given[member.name];
    if (value === undefined || value === null) continue;
    if (isOneof(member)) {
      const chosen = value as Chosen;
      const arm = member.arms.get(chosen.case);
      if (arm) message[member.name] = { case: arm.name, value: made(arm, chosen.value) };
    } else {
      message[member.name] = made(member, value);
    }
  }
  return message as unknown as T;
}
