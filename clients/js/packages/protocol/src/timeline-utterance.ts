/** Part of `timeline`: one utterance and its words. */
import type { TimedWord } from "./timed-words.js";

/** One utterance; `words` by ascending index, those before `delivered` were delivered.
 *
 * A cut shortens `words`, possibly below `delivered`; nothing is pending then. */
export class TimelineUtterance {
  startMs: number | undefined;
  readonly words: TimedWord[] = [];
  readonly #revisions: number[] = [];
  delivered = 0;
  closed = false;
  cutMs: number | undefined;
  text = "";

  constructor(readonly utteranceId: string) {}

  /** The next word to deliver. */
  get pending(): TimedWord | undefined {
    return this.words[this.delivered];
  }

  put(word: TimedWord, revision: number): void {
    const at = this.#placeOf(word.index);
    if (at < this.delivered) return; // delivered, or a later one was
    if (this.words[at]?.index !== word.index) {
      this.words.splice(at, 0, word);
      this.#revisions.splice(at, 0, revision);
    } else if (revision > (this.#revisions[at] ?? 0)) {
      this.words[at] = word;
      this.#revisions[at] = revision;
    }
  }

  /** How many words, from the first, began before a position. */
  heardWords(mediaMs: number): number {
    const unheard = this.words.findIndex((word) => word.startMs >= mediaMs);
    return unheard < 0 ? this.words.length : unheard;
  }

  beginsBefore(mediaMs: number): boolean {
    const startMs = this.startMs ?? this.words[0]?.startMs;
    return startMs !== undefined && startMs < mediaMs;
  }

  /** Closes it; words that begin at or after `mediaMs` are gone. */
  cut(mediaMs: number): void {
    this.words.length = this.heardWords(mediaMs);
    this.closed = true;
    this.cutMs = Math.min(mediaMs, this.cutMs ?? mediaMs);
  }

  /** Where a word with that index is, or belongs. */
  #placeOf(index: number): number {
    let low = 0;
    let high = this.words.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.words[middle]?.index ?? index) < index) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
