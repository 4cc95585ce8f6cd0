/** A JSON value, to be read only: what events carry, and what a program may send. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** Decodes JSON from the peer. Never throws.
 *
 * @returns undefined when there is none or it is not JSON; `onBroken` is called for the latter. */
export function parseJson(text: string, onBroken?: () => void): JsonValue | undefined {
  if (text === "") return undefined;
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    onBroken?.();
    return undefined;
  }
}
