/** Text by Unicode code points, as the protocol counts it; JavaScript counts UTF-16 units. */

const SURROGATE = /[\ud800-\udfff]/;

/** Text that is sliced more than once. */
export interface CodePoints {
  /** Code points; a surrogate without its other half counts as one. */
  readonly length: number;
  /** The text of `[start, end)`; what lies outside the text is left out, as by `slice`. */
  slice(start: number, end?: number): string;
}

/** Counts the code points of a text once; plain text costs nothing more. */
export function codePointsOf(text: string): CodePoints {
  if (!SURROGATE.test(text)) {
    return {
      length: text.length,
      slice: (start, end) => text.slice(start, end),
    };
  }
  const points = Array.from(text);
  return { length: points.length, slice: (start, end) => points.slice(start, end).join("") };
}

/** The code points `[start, end)` of a text: what `charStart` and `charEnd` of a word mean. */
export function sliceCodePoints(text: string, start: number, end?: number): string {
  return codePointsOf(text).slice(start, end);
}
