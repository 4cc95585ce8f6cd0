/** RTVI messages as JSON text: read strictly, written without loss. */
import { type ErrorCode, VoxwireError } from "../errors.js";
import { type JsonValue, utf8Length } from "../json-text.js";

/** The `label` of every RTVI message. */
export const LABEL = "rtvi-ai";

/**
 * Largest text that is read unless the caller says otherwise, bytes: what a data channel of aiortc
 * and of browsers carries (`sctp.maxMessageSize`).
 */
export const MAX_MESSAGE_BYTES = 65_536;

/** Most lists and objects within each other. */
export const MAX_MESSAGE_DEPTH = 128;

/** Longest `type` and `id`. */
const MAX_NAME_CHARS = 128;

/** One RTVI message. */
export interface RtviMessage {
  /** What it is, such as "bot-output"; open, peers have types of their own. */
  readonly type: string;
  /** Its content; absent where the message has none. */
  readonly data?: JsonValue;
  /** Set on requests and on what answers them. */
  readonly id?: string;
  /** Members beside the four of RTVI. */
  readonly extra?: { readonly [name: string]: JsonValue };
  /** The text that it was read from: whole numbers above 2^53 are exact here alone. */
  readonly text?: string;
}

/** A text that is no RTVI message, or a message that does not say what its type needs. */
export class RtviError extends VoxwireError {
  override readonly name: string = "RtviError";
  /** Id of the message; "" = it has none. */
  readonly messageId: string;

  constructor(code: ErrorCode, reason: string, messageId = "") {
    super(code, reason);
    this.messageId = messageId;
  }
}

/**
 * Reads a message. The work is bounded by the length of the text. Of a member that is there twice
 * the last one counts, as `JSON.parse` does.
 *
 * @param maxBytes - Largest text, UTF-8 bytes.
 * @throws RtviError "too_large"; or "malformed": not JSON (RFC 8259), a number beyond a double,
 *   nested more than 128 deep, a lone surrogate, or no RTVI message (no object with the label, a
 *   type and, if any, an id that is a string).
 */
export function decode(text: string, maxBytes = MAX_MESSAGE_BYTES): RtviMessage {
  if (text.length > maxBytes || utf8Length(text) > maxBytes) {
    throw new RtviError("too_large", `the message is above ${maxBytes} bytes`);
  }
  if (isDeeper(text)) throw malformed(`is nested more than ${MAX_MESSAGE_DEPTH} deep`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw malformed("is not JSON");
  }
  if (!isSendable(value)) throw malformed("is not JSON as it may be sent");
  const message = messageOf(value);
  if (!message) throw malformed("is no object with the label of RTVI, a type and a fit id");
  return { ...message, text };
}

/** The RTVI message that a JSON value is; undefined = it is none. */
export function messageOf(value: unknown): RtviMessage | undefined {
  if (!isObject(value) || value.label !== LABEL) return undefined;
  const { label: _, type, id, data, ...extra } = value;
  if (typeof type !== "string" || type === "" || isLong(type)) return undefined;
  if (id !== undefined && id !== null && (typeof id !== "string" || isLong(id))) return undefined;
  return {
    type,
    ...(data === undefined ? {} : { data }),
    ...(typeof id === "string" ? { id } : {}),
    ...(Object.keys(extra).length > 0 ? { extra } : {}),
  };
}

/**
 * Writes a message as JSON without white space, as it was read where it was.
 *
 * @throws RtviError "malformed": the data is not made of what JSON has, or nested too deep.
 */
export function encode(message: RtviMessage): string {
  if (message.text !== undefined) return message.text;
  const { type, id, data, extra } = message;
  let text: string;
  try {
    text = JSON.stringify({ label: LABEL, type, id, data, ...extra });
  } catch {
    throw malformed("cannot be written as JSON");
  }
  if (isDeeper(text)) throw malformed(`is nested more than ${MAX_MESSAGE_DEPTH} deep`);
  if (!isSendable(JSON.parse(text))) throw malformed("cannot be written as JSON");
  return text;
}

/** True for an object of JSON. */
export function isObject(value: unknown): value is { readonly [name: string]: JsonValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether more lists and objects are within each other in a JSON text than a message may have. */
function isDeeper(text: string): boolean {
  let depth = 0;
  let isString = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (isString) {
      if (char === "\\") at += 1;
      else if (char === '"') isString = false;
    } else if (char === '"') {
      isString = true;
    } else if (char === "[" || char === "{") {
      depth += 1;
      if (depth > MAX_MESSAGE_DEPTH) return true;
    } else if (char === "]" || char === "}") {
      depth -= 1;
    }
  }
  return false;
}

/** Whether every number is finite and every string can be written as UTF-8. */
function isSendable(value: unknown): boolean {
  const waiting: unknown[] = [value];
  for (let at = 0; at < waiting.length; at++) {
    const node = waiting[at];
    if (typeof node === "number" && !Number.isFinite(node)) return false;
    if (typeof node === "string" && /\p{Surrogate}/u.test(node)) return false;
    if (typeof node === "object" && node !== null) {
      for (const [name, part] of Object.entries(node)) waiting.push(name, part);
    }
  }
  return true;
}

function isLong(name: string): boolean {
  return name.length > MAX_NAME_CHARS && Array.from(name).length > MAX_NAME_CHARS;
}

function malformed(what: string): RtviError {
  return new RtviError("malformed", `the message ${what}`);
}
