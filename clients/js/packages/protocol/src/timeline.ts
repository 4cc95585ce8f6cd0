/**
 * Utterances and their words on the media clock: which are due, which were heard.
 *
 * All times are milliseconds of the media clock (protocol/spec/media-clock.md); all character
 * positions are Unicode code points of the utterance's text (protocol/spec/words.md).
 */
import { codePointsOf } from "./code-points.js";
import type { TimedWord } from "./timed-words.js";
import { TimelineUtterance } from "./timeline-utterance.js";

/** Utterances remembered after their last word was delivered. */
export const KEPT_UTTERANCES = 32;
/** Longest text of an utterance that is kept, code points. */
export const MAX_TEXT_CHARS = 262_144;

/** The heard prefix of one utterance. */
export interface Heard {
  readonly utteranceId: string;
  /** How many of its words were heard, from the first. */
  readonly words: number;
  /** End of the heard text, code points; 0 = nothing. */
  readonly charEnd: number;
  /** Position that was heard up to. */
  readonly mediaMs: number;
}

/** Words of the bot on the media clock. Pure; owned by one session. */
export class Timeline {
  readonly #known = new Map<string, TimelineUtterance>();
  /** Open, or with words to deliver; oldest first. */
  readonly #live = new Map<string, TimelineUtterance>();
  readonly #over: string[] = [];

  /** Notes where an utterance begins, the position of its first sample; the first call counts. */
  begin(utteranceId: string, mediaMs: number): void {
    this.#get(utteranceId).startMs ??= mediaMs;
  }

  /**
   * Places words, before or after `begin`.
   *
   * A known word stays unless `revision` is higher and it was not delivered. Ignored are words of
   * a closed utterance and words behind one that was delivered.
   */
  add(words: Iterable<TimedWord>, revision = 0): void {
    for (const word of words) {
      const utterance = this.#get(word.utteranceId);
      if (!utterance.closed) utterance.put(word, revision);
    }
  }

  /**
   * Returns the words that became due, each one once.
   *
   * Within an utterance words come by index, even where their times go back; between utterances
   * by onset, then by which was known first.
   *
   * @param mediaMs Position of playout. Going back delivers nothing again.
   */
  advance(mediaMs: number): TimedWord[] {
    const due: TimedWord[] = [];
    for (;;) {
      const head = this.#head();
      const word = head?.pending;
      if (!head || !word || word.startMs > mediaMs) return due;
      head.delivered += 1;
      due.push(word);
      this.#settle(head);
    }
  }

  /** Onset of the next word to deliver; undefined = no word is waiting. */
  nextDueMs(): number | undefined {
    return this.#head()?.pending?.startMs;
  }

  /** Onset of the last word that waits; undefined = no word is waiting. */
  lastDueMs(): number | undefined {
    const waiting = [...this.#live.values()].filter(({ pending }) => pending);
    return waiting.length
      ? Math.max(...waiting.map(({ words }) => words.at(-1)?.startMs ?? 0))
      : undefined;
  }

  /**
   * Returns the prefix whose words began before a position.
   *
   * @param utteranceId An unknown one was not heard.
   * @param mediaMs Position of playout. What was cut stays unheard.
   */
  heard(utteranceId: string, mediaMs: number): Heard {
    const utterance = this.#known.get(utteranceId);
    const upTo = Math.min(mediaMs, utterance?.cutMs ?? mediaMs);
    const words = utterance?.heardWords(upTo) ?? 0;
    const charEnd = utterance?.words[words - 1]?.charEnd ?? 0;
    return { utteranceId, words, charEnd, mediaMs: upTo };
  }

  /**
   * Closes what is speaking: words with an onset at or after `mediaMs` never come.
   *
   * Concerns every utterance that begins before `untilMs` and is open, or ended with words still
   * to deliver. Words with an onset before `mediaMs` are still delivered.
   *
   * @param mediaMs Position that was heard up to.
   * @param untilMs Audio before this position is void.
   * @returns The heard prefixes, oldest utterance first.
   */
  cut(mediaMs: number, untilMs: number): Heard[] {
    const prefixes: Heard[] = [];
    for (const utterance of [...this.#live.values()]) {
      if (!utterance.beginsBefore(untilMs)) continue;
      utterance.cut(mediaMs);
      prefixes.push(this.heard(utterance.utteranceId, mediaMs));
      this.#settle(utterance);
    }
    return prefixes;
  }

  /** Closes an utterance: later words are ignored, those placed are still delivered. */
  end(utteranceId: string): void {
    const utterance = this.#get(utteranceId);
    utterance.closed = true;
    this.#settle(utterance);
  }

  /** How many words of an utterance `advance` has returned, or `skip` passed over. */
  delivered(utteranceId: string): number {
    return this.#known.get(utteranceId)?.delivered ?? 0;
  }

  /**
   * Passes over the first words of an utterance: they count as delivered.
   *
   * @param words How many, from the first that is known; fewer than were delivered = no change.
   */
  skip(utteranceId: string, words: number): void {
    const utterance = this.#get(utteranceId);
    const reachable = Math.min(words, utterance.words.length);
    utterance.delivered = Math.max(utterance.delivered, reachable);
    this.#settle(utterance);
  }

  /** Returns the words of an utterance as far as known, by index, without those cut. */
  words(utteranceId: string): readonly TimedWord[] {
    return [...(this.#known.get(utteranceId)?.words ?? [])];
  }

  /** Returns the text of an utterance as far as `setText` gave it. */
  text(utteranceId: string): string {
    return this.#known.get(utteranceId)?.text ?? "";
  }

  /**
   * Puts a piece of an utterance's text in its place.
   *
   * @param offset Position of the piece, code points; a gap before it is filled with spaces. A
   *   piece that ends beyond `MAX_TEXT_CHARS` is ignored.
   */
  setText(utteranceId: string, offset: number, piece: string): void {
    const end = offset + codePointsOf(piece).length;
    if (end > MAX_TEXT_CHARS) return;
    const utterance = this.#get(utteranceId);
    const known = codePointsOf(utterance.text);
    const gap = " ".repeat(Math.max(0, offset - known.length));
    utterance.text = known.slice(0, offset) + gap + piece + known.slice(end);
  }

  #get(utteranceId: string): TimelineUtterance {
    let utterance = this.#known.get(utteranceId);
    if (!utterance) {
      utterance = new TimelineUtterance(utteranceId);
      this.#known.set(utteranceId, utterance);
      this.#live.set(utteranceId, utterance);
    }
    return utterance;
  }

  /** The utterance with the next word to deliver; of equals the one that was known first. */
  #head(): TimelineUtterance | undefined {
    let best: TimelineUtterance | undefined;
    let bestMs = Number.POSITIVE_INFINITY;
    for (const utterance of this.#live.values()) {
      const startMs = utterance.pending?.startMs;
      if (startMs !== undefined && startMs < bestMs) {
        best = utterance;
        bestMs = startMs;
      }
    }
    return best;
  }

  /** Moves an utterance that is closed and delivered to those soon forgotten. */
  #settle(utterance: TimelineUtterance): void {
    if (!utterance.closed || utterance.pending) return;
    if (!this.#live.delete(utterance.utteranceId)) return;
    this.#over.push(utterance.utteranceId);
    const forgotten = this.#over.length > KEPT_UTTERANCES ? this.#over.shift() : undefined;
    if (forgotten !== undefined) this.#known.delete(forgotten);
  }
}
