import type { TimedWord } from "../src/timed-words.js";
import type { Heard } from "../src/timeline.js";

/** The rules of `Timeline` on plain lists, looked through from the start every time. */
export class NaiveTimeline {
  readonly #order: string[] = [];
  readonly #begun = new Map<string, number>();
  readonly #placed = new Map<string, { revision: number; word: TimedWord }[]>();
  readonly #fired: TimedWord[] = [];
  readonly #closed = new Set<string>();
  readonly #cutAt = new Map<string, number>();

  begin(name: string, mediaMs: number): void {
    this.#know(name);
    if (!this.#begun.has(name)) this.#begun.set(name, mediaMs);
  }

  add(words: readonly TimedWord[], revision: number): void {
    for (const word of words) {
      const name = word.utteranceId;
      this.#know(name);
      if (this.#closed.has(name) || word.index <= this.#lastFired(name)) continue;
      const placed = this.#placed.get(name) ?? [];
      const known = placed.find((each) => each.word.index === word.index);
      if (known && known.revision >= revision) continue;
      const others = placed.filter((each) => each !== known);
      this.#placed.set(name, [...others, { revision, word }]);
    }
  }

  advance(mediaMs: number): TimedWord[] {
    const due: TimedWord[] = [];
    for (;;) {
      const head = this.#head();
      if (!head || head.startMs > mediaMs) return due;
      this.#fired.push(head);
      due.push(head);
    }
  }

  nextDueMs(): number | undefined {
    return this.#head()?.startMs;
  }

  words(name: string): TimedWord[] {
    const words = (this.#placed.get(name) ?? []).map((each) => each.word);
    return words.sort((one, other) => one.index - other.index);
  }

  heard(name: string, mediaMs: number): Heard {
    const upTo = Math.min(mediaMs, this.#cutAt.get(name) ?? mediaMs);
    const said = this.#prefix(name, upTo);
    const charEnd = said.at(-1)?.charEnd ?? 0;
    return { utteranceId: name, words: said.length, charEnd, mediaMs: upTo };
  }

  cut(mediaMs: number, untilMs: number): Heard[] {
    const prefixes: Heard[] = [];
    for (const name of this.#order) {
      if (this.#closed.has(name) && this.#waiting(name).length === 0) continue;
      const startMs = this.#begun.get(name) ?? this.words(name)[0]?.startMs;
      if (startMs === undefined || startMs >= untilMs) continue;
      const kept = this.#prefix(name, mediaMs);
      const placed = this.#placed.get(name) ?? [];
      this.#placed.set(
        name,
        placed.filter((each) => kept.includes(each.word)),
      );
      this.#closed.add(name);
      this.#cutAt.set(name, Math.min(mediaMs, this.#cutAt.get(name) ?? mediaMs));
      prefixes.push(this.heard(name, mediaMs));
    }
    return prefixes;
  }

  end(name: string): void {
    this.#know(name);
    this.#closed.add(name);
  }

  #know(name: string): void {
    if (!this.#order.includes(name)) this.#order.push(name);
  }

  #lastFired(name: string): number {
    const fired = this.#fired.filter((word) => word.utteranceId === name);
    return Math.max(-1, ...fired.map((word) => word.index));
  }

  #waiting(name: string): TimedWord[] {
    return this.words(name).filter((word) => word.index > this.#lastFired(name));
  }

  #head(): TimedWord | undefined {
    const heads = this.#order.flatMap((name) => this.#waiting(name).slice(0, 1));
    return heads.sort((one, other) => one.startMs - other.startMs)[0];
  }

  #prefix(name: string, mediaMs: number): TimedWord[] {
    const words = this.words(name);
    const unheard = words.findIndex((word) => word.startMs >= mediaMs);
    return unheard < 0 ? words : words.slice(0, unheard);
  }
}
