/** Enum numbers of the wire as the lower-case words of `event-enums.ts`, by the tables. */
import type { EnumSchema } from "./codec.js";

/** What an enum that is not set, or not known, reads as where it is not `unknown`. */
const UNKNOWN: { readonly [enumName: string]: string } = {
  ErrorCode: "internal",
  RecoveryAction: "none",
};

/** The word for a number. `W` must be the union that belongs to `schema`. */
export function enumWord<W extends string>(schema: EnumSchema, value: number): W {
  const known = value === 0 ? undefined : schema.constants[value];
  return (known?.toLowerCase() ?? UNKNOWN[schema.name] ?? "unknown") as W;
}

/** The number for a word; 0, which is not set, for one that the enum does not have. */
export function enumValue(schema: EnumSchema, word: string): number {
  return schema.constants[word.toUpperCase()] ?? 0;
}
