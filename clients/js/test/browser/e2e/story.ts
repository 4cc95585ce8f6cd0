/** The offline bot's long story: where in it a recording ends, and how many words were played. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const RATE = 24_000;
const HEADER_BYTES = 44;
/** How far a position may be from where it is expected, milliseconds. */
const AROUND_MS = 3000;
/** Pieces of a recording that are looked for: a player that stalls leaves holes between them. */
const PIECE_MS = 160;
const STEP_MS = 40;
/** What is less like the story is not of it; what is as much is believed. */
const UNLIKE = 0.5;
const LIKE = 0.9;

export interface Found {
  /** Position of the recording's end, milliseconds. */
  readonly endMs: number;
  /** Correlation with the story there, 1 = the same. */
  readonly likeness: number;
}

export class Story {
  private constructor(
    private readonly samples: Float64Array,
    private readonly rate: number,
    /** Where its words begin, milliseconds. */
    private readonly starts: readonly number[],
  ) {}

  /** Reads what tests/support/spoken.py wrote, at the rate of a page's ear. */
  static read(folder: string, rate: number): Story {
    const wav = readFileSync(join(folder, "story.wav")).subarray(HEADER_BYTES);
    const step = RATE / rate;
    const samples = new Float64Array(Math.floor(wav.length / 2 / step));
    for (let at = 0; at < samples.length; at += 1) {
      let sum = 0;
      for (let part = 0; part < step; part += 1) sum += wav.readInt16LE(2 * (at * step + part));
      samples[at] = sum / step;
    }
    const words: [string, number, number][] = JSON.parse(
      readFileSync(join(folder, "story.json"), "utf8"),
    );
    return new Story(
      samples,
      rate,
      words.map(([, startMs]) => startMs),
    );
  }

  /** Finds a recording in it whose end is expected about there; undefined = a page that had no
   * processor for a while played nothing that is like the story. */
  find(recording: readonly number[], expectedMs: number): Found | undefined {
    const piece = this.#samples(PIECE_MS);
    let best: Found = { endMs: 0, likeness: -1 };
    for (let behindMs = 0; best.likeness < LIKE; behindMs += STEP_MS) {
      const end = recording.length - this.#samples(behindMs);
      if (end < piece) break;
      const found = this.#place(recording.slice(end - piece, end), expectedMs - behindMs);
      if (found.likeness > best.likeness) best = { ...found, endMs: found.endMs + behindMs };
    }
    return best.likeness < UNLIKE ? undefined : best;
  }

  #samples(ms: number): number {
    return Math.round((ms * this.rate) / 1000);
  }

  #place(piece: readonly number[], expectedMs: number): Found {
    const first = Math.max(0, this.#samples(expectedMs - AROUND_MS) - piece.length);
    const end = Math.min(this.samples.length, this.#samples(expectedMs + AROUND_MS));
    let best = { endMs: 0, likeness: -1 };
    for (let lag = first; lag + piece.length <= end; lag += 1) {
      const likeness = this.#likeness(piece, lag);
      if (likeness <= best.likeness) continue;
      best = { endMs: ((lag + piece.length) * 1000) / this.rate, likeness };
    }
    return best;
  }

  /** How many words have begun by then. */
  wordsBy(ms: number): number {
    return this.starts.filter((startMs) => startMs < ms).length;
  }

  #likeness(recording: readonly number[], lag: number): number {
    let product = 0;
    let here = 0;
    let there = 0;
    for (const [index, value] of recording.entries()) {
      const other = this.samples[lag + index] ?? 0;
      product += value * other;
      here += value * value;
      there += other * other;
    }
    return product / Math.sqrt(here * there || 1);
  }
}
