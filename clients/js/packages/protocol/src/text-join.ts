/**
 * Texts that follow each other, as one text. Pure; Python has the same (`text_join.py`).
 *
 * Chinese and Japanese are written without spaces; every other script here has them, Korean and
 * (between phrases) Thai too (`protocol/vectors/words/join-*`).
 */

// Radicals; punctuation, Hiragana, Katakana, Bopomofo; Han with marks and units; full width, and
// Katakana of half width.
const UNSPACED =
  "\\u2e80-\\u2fdf\\u3000-\\u312f\\u31a0-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff\\ufe30-\\ufe4f" +
  "\\uff00-\\uff9f\\uffe0-\\uffee\\u{1b000}-\\u{1b16f}\\u{1f200}-\\u{1f2ff}\\u{20000}-\\u{3ffff}";
const MARKS = "\\u2018-\\u201f\\u2014\\u2026";
const TIGHT = new RegExp(`[${UNSPACED}][${MARKS}]*\\n[${MARKS}]*[${UNSPACED}]`, "u");
/** How many code units on either side are looked at. */
const ENDS = 16;

/**
 * Joins two texts with one space, or with none where the script has none.
 *
 * @returns Both; nothing between them when one is empty, when white space stands there already, or
 * when both sides are Chinese or Japanese.
 */
export function joinTexts(before: string, after: string): string {
  if (before === "" || after === "" || /\s$/u.test(before) || /^\s/u.test(after)) {
    return before + after;
  }
  const tight = TIGHT.test(`${before.slice(-ENDS)}\n${after.slice(0, ENDS)}`);
  return tight ? before + after : `${before} ${after}`;
}
