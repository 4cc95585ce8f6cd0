/** Enum numbers of the wire as the lower-case words of `event-enums.ts`, by the descriptors. */
import type { DescEnum } from "@bufbuild/protobuf";

/** What an enum that is not set, or not known, reads as where it is not `unknown`. */
const UNKNOWN: { readonly [enumName: string]: string } = {
  ErrorCode: "internal",
  RecoveryAction: "none",
};

/** The word for a number. `W` must be the union that belongs to `desc`. */
export function enumWord<W extends string>(desc: DescEnum, value: number): W {
  const known = value === 0 ? undefined : desc.value[value];
  return (known ? known.localName.toLowerCase() : (UNKNOWN[desc.name] ?? "unknown")) as W;
}

/** The number for a word; 0, which is not set, for one that the enum does not have. */
export function enumValue(desc: DescEnum, word: string): number {
  return desc.values.find((value) => value.localName === word.toUpperCase())?.number ?? 0;
}
