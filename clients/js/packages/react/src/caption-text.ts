import type { LoggedUtterance, LoggedWord } from "@voxwire/client";

/** A word as it stands in its text: with the punctuation that clings to it. */
export interface CaptionWord {
  readonly key: string;
  readonly text: string;
  /** What stands between this word and the one before: a space, as a rule, or nothing. */
  readonly gap: string;
  readonly state: LoggedWord["state"];
}

/**
 * The words of an utterance with what stands between them. Text that has no word yet is not shown:
 * it comes with its words.
 */
export function captionWords(utterance: LoggedUtterance): CaptionWord[] {
  const words: CaptionWord[] = [];
  let end = 0;
  for (const word of utterance.words) {
    const found = utterance.text.indexOf(word.text, end);
    const between = found < 0 ? " " : utterance.text.slice(end, found);
    const [tail, gap] = split(between);
    const before = words.at(-1);
    if (before !== undefined && tail !== "")
      words[words.length - 1] = { ...before, text: before.text + tail };
    words.push({
      key: `${utterance.id}:${word.index}`,
      text: before === undefined ? tail + word.text : word.text,
      gap,
      state: word.state,
    });
    if (found >= 0) end = found + word.text.length;
  }
  const last = words.at(-1);
  const [tail] = split(utterance.text.slice(end));
  if (last !== undefined && /^\p{P}+$/u.test(tail))
    words[words.length - 1] = { ...last, text: last.text + tail };
  return words;
}

/** What clings to the word before, and the white space that follows it. */
function split(between: string): [tail: string, gap: string] {
  const tail = between.trimEnd();
  return tail.startsWith(" ") ? ["", between] : [tail, between.slice(tail.length)];
}
