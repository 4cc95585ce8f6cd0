/** JSON from a peer, read so that no text can do harm: bounded, finite, encodable. Pure. */
import { ProtocolError } from "./errors.js";

/** What JSON can say (RFC 8259). */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/** Largest text that is read, UTF-8 bytes. */
export const MAX_JSON_BYTES = 48 * 1024;

/** Deepest nesting of a value. */
export const MAX_VALUE_DEPTH = 32;

/** Most objects, arrays and scalars in a value. */
export const MAX_VALUE_NODES = 10_000;

export interface JsonLimits {
  /** Largest text, UTF-8 bytes; default `MAX_JSON_BYTES`. */
  readonly maxBytes?: number;
}

/**
 * Reads a value from JSON.
 *
 * @throws ProtocolError "too_large"; or "malformed": not JSON, a number beyond a double, nested or
 *   branched too much, or a lone surrogate in a string, which could not be sent on. The reason
 *   never contains the text.
 */
export function parseJson(text: string, limits: JsonLimits = {}): JsonValue {
  const maxBytes = limits.maxBytes ?? MAX_JSON_BYTES;
  if (text.length > maxBytes || utf8Length(text) > maxBytes) {
    throw new ProtocolError("too_large", `the JSON is above ${maxBytes} bytes`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ProtocolError("malformed", "the text is not JSON");
  }
  const wrong = jsonFault(value);
  if (wrong) throw new ProtocolError("malformed", `the JSON ${wrong}`);
  return value as JsonValue;
}

/**
 * Writes a value as JSON that `parseJson` reads. Members that are undefined are left out, as
 * `JSON.stringify` does; no value at all is null.
 *
 * @throws ProtocolError as `parseJson`: it is not made of what JSON has, or the text is too large.
 */
export function dumpJson(value: unknown, limits: JsonLimits = {}): string {
  let text: string;
  try {
    text = JSON.stringify(value ?? null, writable) ?? "null";
  } catch {
    throw new ProtocolError("malformed", "the value cannot be written as JSON");
  }
  parseJson(text, limits);
  return text;
}

function writable(_name: string, member: unknown): unknown {
  const lost = typeof member === "number" && !Number.isFinite(member);
  if (lost || typeof member === "function" || typeof member === "symbol") throw new TypeError();
  return member;
}

/** What keeps a value from being JSON that may be sent, as the end of a sentence; "" = nothing. */
export function jsonFault(value: unknown): string {
  let level: unknown[] = [value];
  let nodes = 0;
  for (let depth = 0; depth <= MAX_VALUE_DEPTH; depth++) {
    nodes += level.length;
    if (nodes > MAX_VALUE_NODES) return `has more than ${MAX_VALUE_NODES} parts`;
    const below: unknown[] = [];
    for (const node of level) {
      if (typeof node === "object" && node !== null) {
        if (!Array.isArray(node) && Object.keys(node).some(isBroken)) return BROKEN;
        for (const part of Object.values(node)) below.push(part);
      } else if (typeof node === "string") {
        if (isBroken(node)) return BROKEN;
      } else if (!isScalar(node)) {
        return "is not JSON";
      }
    }
    if (below.length === 0) return "";
    level = below;
  }
  return `is nested more than ${MAX_VALUE_DEPTH} deep`;
}

const BROKEN = "cannot be encoded as UTF-8";

/** Bytes of a text in UTF-8; a surrogate without its other half counts as three. */
export function utf8Length(text: string): number {
  let length = 0;
  for (const char of text) {
    const point = Number(char.codePointAt(0));
    length += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x1_0000 ? 3 : 4;
  }
  return length;
}

/** True with a surrogate that has no partner. */
function isBroken(text: string): boolean {
  return /\p{Surrogate}/u.test(text);
}

function isScalar(node: unknown): boolean {
  return node === null || typeof node === "boolean" || Number.isFinite(node);
}
