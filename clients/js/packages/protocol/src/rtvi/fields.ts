/** The members of a message's data, read by name and type. */
import type { JsonValue } from "../json-text.js";
import { isObject, RtviError, type RtviMessage } from "./message.js";

/**
 * Reads members of an object. What has another type than it must is a typed error; a member that
 * is null counts as absent, as stock peers write both.
 */
export class Fields {
  readonly #members: { readonly [name: string]: JsonValue };
  readonly #message: RtviMessage;

  /** @throws RtviError "malformed": the data is no object; none and null have no members. */
  constructor(message: RtviMessage) {
    this.#message = message;
    const data = message.data ?? {};
    if (!isObject(data)) throw this.#wrong("the data", "an object");
    this.#members = data;
  }

  /** A string; one without a default must be there. */
  text(name: string, missing?: string): string {
    const value = this.value(name) ?? missing;
    if (typeof value !== "string") throw this.#wrong(name, "a string");
    return value;
  }

  /** A boolean; one without a default must be there. */
  flag(name: string, missing?: boolean): boolean {
    const value = this.value(name) ?? missing;
    if (typeof value !== "boolean") throw this.#wrong(name, "true or false");
    return value;
  }

  /** Any value; null and absent are undefined. */
  value(name: string): JsonValue | undefined {
    const value = Object.hasOwn(this.#members, name) ? this.#members[name] : undefined;
    return value ?? undefined;
  }

  #wrong(name: string, wanted: string): RtviError {
    const { type, id } = this.#message;
    return new RtviError("malformed", `${type}: ${name} must be ${wanted}`, id);
  }
}
