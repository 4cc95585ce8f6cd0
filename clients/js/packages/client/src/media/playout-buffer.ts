/**
 * The playout buffer: bot audio by position on the media clock, handed to a speaker in blocks.
 *
 * Pure: no clock is read, time passes as samples are pulled. Positions are sample indexes on the
 * media clock at the playout rate; the position of the buffer is that of the next sample to sound.
 * It freezes when there is nothing to play, jumps forward over what was never sent, and never goes
 * back. Mirrors `voxwire.playout` of the Python client, without what only decoded RTP needs.
 */

/** Length of the fade before a flush falls silent, milliseconds. */
const FADE_MS = 10;
/** Longest piece that is made up when audio is late, milliseconds. */
const CONCEAL_MS = 20;
/** A longer hole between two buffered pieces is jumped over; a shorter one is a pause. */
const MAX_GAP_MS = 500;
/** Audio that continues a dry buffer within this time was late; after it, it is a new start. */
const LATE_MS = 500;
/** Audio further ahead of the position is refused. */
const MAX_AHEAD_MS = 3_600_000;
/** Most audio that is kept; what comes on top is refused. */
export const MAX_BUFFERED_MS = 30_000;
/** Least growth of the target after an underrun. */
const STEP_MS = 20;
/** Played without underrun for this long, the target shrinks by `DECAY_MS`. */
const DECAY_AFTER_MS = 10_000;
const DECAY_MS = 10;

/**
 * What a piece of a block is: bot audio at its position; silence that the media clock holds between
 * two pieces; made up to hide that audio is late; nothing to play.
 */
export type SpanKind = "played" | "gap" | "concealed" | "silent";

/** True where the position moves with the samples. */
export function moves(kind: SpanKind): boolean {
  return kind === "played" || kind === "gap";
}

/** A piece of a block, in samples: where in the block, where on the media clock, what. */
export interface Span {
  readonly offset: number;
  readonly length: number;
  readonly position: number;
  readonly kind: SpanKind;
}

/** What the speaker plays next: int16 mono; the spans together cover it. */
export interface Block {
  readonly samples: Int16Array;
  readonly spans: readonly Span[];
  /** Position after the block. */
  readonly position: number;
}

export interface PlayoutBufferOptions {
  /** Of everything pushed and pulled, Hz. */
  readonly sampleRate: number;
  /** Delay to start with, milliseconds; grows to `maxTargetMs` on underruns, decays again. */
  readonly targetMs?: number;
  readonly maxTargetMs?: number;
}

interface Piece {
  readonly start: number;
  readonly samples: Int16Array;
}

const end = (piece: Piece) => piece.start + piece.samples.length;

function fadeOut(samples: Int16Array): Int16Array {
  return samples.map((sample, index) => Math.trunc(sample * (1 - index / samples.length)));
}

/** Adaptive playout buffer of one track; owned by one player. */
export class PlayoutBuffer {
  /** Position of the next sample to sound. */
  position = 0;
  /** Audio that is gathered before playing starts, milliseconds. */
  targetMs: number;
  /** How often audio came too late. */
  underruns = 0;
  /** Samples dropped because their position had passed or was flushed. */
  lateSamples = 0;
  /** Samples dropped because they lay too far ahead or were too many. */
  refusedSamples = 0;
  /** True while audio is handed out. */
  playing = false;

  readonly #rate: number;
  readonly #maxTargetMs: number;
  #firstTargetMs: number;
  #queue: Piece[] = [];
  #buffered = 0;
  /** What sounds before anything else: the end of what was flushed, or what is made up. */
  #tail: (Piece & { readonly kind: SpanKind }) | undefined;
  #voidUntil = 0;
  #waited = 0;
  /** Samples since it ran dry; undefined = it did not. */
  #dry: number | undefined;
  /** Concealment of the current dry spell, not known yet to be needed. */
  #madeUp = 0;
  #concealed = 0;
  #sinceUnderrun = 0;
  #last: Int16Array;
  #lastLength = 0;

  constructor(options: PlayoutBufferOptions) {
    this.#rate = options.sampleRate;
    this.targetMs = this.#firstTargetMs = options.targetMs ?? 40;
    this.#maxTargetMs = options.maxTargetMs ?? 200;
    this.#last = new Int16Array(this.#samples(CONCEAL_MS));
  }

  /** Audio received but not yet handed out, milliseconds. */
  get bufferedMs(): number {
    return Math.floor((this.#buffered * 1000) / this.#rate);
  }

  /** Audio made up to hide gaps, milliseconds. */
  get concealedMs(): number {
    return Math.floor((this.#concealed * 1000) / this.#rate);
  }

  /** True when pulling gives silence and changes nothing, until something is pushed. */
  get idle(): boolean {
    const settled = this.#dry === undefined || this.#dry > this.#samples(LATE_MS);
    return !this.playing && settled && this.#queue.length === 0 && !this.#tail;
  }

  /** Takes audio at its position; kept, not copied. What is late, void or there is ignored. */
  push(sampleIndex: number, samples: Int16Array): void {
    const last = sampleIndex + samples.length;
    const start = Math.max(sampleIndex, this.position, this.#voidUntil);
    this.lateSamples += Math.min(start, last) - sampleIndex;
    if (start >= last) return;
    const ahead = last - this.position > this.#samples(MAX_AHEAD_MS);
    if (ahead || this.#buffered + last - start > this.#samples(MAX_BUFFERED_MS)) {
      this.refusedSamples += last - start;
      return;
    }
    if (this.#dry !== undefined && start === this.position) this.#noteUnderrun(this.#dry);
    this.#dry = undefined;
    this.#insert(start, samples.subarray(start - sampleIndex));
  }

  /** Hands out the next block; always `numSamples` long. */
  pull(numSamples: number): Block {
    const out = new Int16Array(numSamples);
    const spans: Span[] = [];
    let filled = 0;
    while (filled < numSamples) {
      const span = this.#next(out, filled);
      if (span.length > 0) spans.push(span);
      filled += span.length;
    }
    return { samples: out, spans, position: this.position };
  }

  /**
   * Falls silent: fades within 10 ms and drops everything before `until`, also what comes later.
   *
   * @returns The position at which the sound stops.
   */
  flush(until: number): number {
    if (until <= this.position) return this.position;
    if (this.playing) {
      this.#fade(Math.min(this.#samples(FADE_MS), until - this.position));
      this.playing = false;
    }
    this.#voidUntil = Math.max(this.#voidUntil, until);
    this.#dry = undefined;
    this.#waited = 0;
    this.#keep(
      this.#queue.map(({ start, samples }) => ({
        start: Math.max(start, until),
        samples: samples.subarray(Math.max(0, until - start)),
      })),
    );
    return this.position;
  }

  /** Drops what is buffered and waits for another stream; position and counters stay. */
  restart(options: { readonly targetMs: number; readonly position?: number }): void {
    this.targetMs = this.#firstTargetMs = options.targetMs;
    this.position = Math.max(this.position, options.position ?? 0);
    this.playing = false;
    this.#dry = undefined;
    this.#waited = 0;
    this.#keep([]);
  }

  #next(out: Int16Array, filled: number): Span {
    const room = out.length - filled;
    if (this.#tail) return this.#takeTail(this.#tail, out, filled);
    if (this.playing || this.#start(room)) return this.#take(out, filled);
    if (this.#dry !== undefined) this.#dry += room;
    return { offset: filled, length: room, position: this.position, kind: "silent" };
  }

  #samples(durationMs: number): number {
    return Math.floor((durationMs * this.#rate) / 1000);
  }

  #keep(pieces: Piece[]): void {
    this.#queue = pieces.filter((piece) => piece.samples.length > 0);
    this.#buffered = this.#queue.reduce((sum, piece) => sum + piece.samples.length, 0);
  }

  /** Adds what is not there yet. */
  #insert(start: number, samples: Int16Array): void {
    const last = start + samples.length;
    const newest = this.#queue.at(-1);
    let cursor = start;
    const add = (from: number, to: number) => {
      const at = this.#queue.findIndex((piece) => piece.start > from);
      const piece = { start: from, samples: samples.subarray(from - start, to - start) };
      this.#queue.splice(at < 0 ? this.#queue.length : at, 0, piece);
      this.#buffered += to - from;
    };
    for (const known of newest && end(newest) > start ? [...this.#queue] : []) {
      if (known.start >= last) break;
      if (known.start > cursor) add(cursor, known.start);
      cursor = Math.max(cursor, end(known));
    }
    if (cursor < last) add(cursor, last);
  }

  /** Grows the target when audio continues what ran dry a moment ago. */
  #noteUnderrun(dry: number): void {
    if (dry > this.#samples(LATE_MS)) return;
    this.underruns += 1;
    this.#concealed += this.#madeUp;
    this.#madeUp = 0;
    this.#sinceUnderrun = 0;
    const lateMs = Math.floor((dry * 1000) / this.#rate);
    this.targetMs = Math.min(this.#maxTargetMs, this.targetMs + Math.max(STEP_MS, lateMs));
  }

  /** Decides whether enough is gathered; jumps to the first audio if so. */
  #start(numSamples: number): boolean {
    const first = this.#queue[0];
    if (!first) {
      this.#waited = 0;
      return false;
    }
    const target = this.#samples(this.targetMs);
    if (this.#buffered < target && this.#waited < target) {
      this.#waited += numSamples;
      return false;
    }
    this.#waited = 0;
    this.playing = true;
    this.position = Math.max(this.position, first.start);
    return true;
  }

  /** Fills some of the block from what is buffered. */
  #take(out: Int16Array, filled: number): Span {
    const room = out.length - filled;
    const piece = this.#queue[0];
    if (!piece) return this.#conceal(out, filled);
    const gap = piece.start - this.position;
    if (gap > this.#samples(MAX_GAP_MS)) {
      this.position = piece.start;
    } else if (gap > 0) {
      const length = Math.min(room, gap);
      return this.#advance({ offset: filled, length, position: this.position, kind: "gap" }, out);
    }
    const length = Math.min(room, piece.samples.length);
    out.set(piece.samples.subarray(0, length), filled);
    if (length === piece.samples.length) {
      this.#queue.shift();
    } else {
      this.#queue[0] = { start: piece.start + length, samples: piece.samples.subarray(length) };
    }
    this.#buffered -= length;
    return this.#advance({ offset: filled, length, position: this.position, kind: "played" }, out);
  }

  /** Moves the position and remembers the end of what sounded, for concealment. */
  #advance(span: Span, out: Int16Array): Span {
    this.position += span.length;
    const keep = this.#last.length;
    const from = span.offset + Math.max(0, span.length - keep);
    const played = out.subarray(from, span.offset + span.length);
    this.#last.copyWithin(0, played.length);
    this.#last.set(played, keep - played.length);
    this.#lastLength = Math.min(keep, this.#lastLength + played.length);
    this.#sinceUnderrun += span.length;
    if (this.#sinceUnderrun >= this.#samples(DECAY_AFTER_MS)) {
      this.#sinceUnderrun = 0;
      this.targetMs = Math.max(this.#firstTargetMs, this.targetMs - DECAY_MS);
    }
    return span;
  }

  /** Repeats the last sound once, fading, and stops playing. */
  #conceal(out: Int16Array, filled: number): Span {
    this.playing = false;
    this.#dry = this.#madeUp = 0;
    const samples = fadeOut(this.#last.slice(this.#last.length - this.#lastLength));
    if (samples.length === 0) {
      return { offset: filled, length: 0, position: this.position, kind: "concealed" };
    }
    this.#tail = { start: this.position, samples, kind: "concealed" };
    return this.#takeTail(this.#tail, out, filled);
  }

  /** Moves the next samples to the tail, fading. */
  #fade(numSamples: number): void {
    const fading: number[] = [];
    for (const { start, samples } of this.#queue) {
      if (start !== this.position + fading.length || fading.length === numSamples) break;
      fading.push(...samples.subarray(0, numSamples - fading.length));
    }
    if (fading.length === 0) return;
    this.#tail = {
      start: this.position,
      samples: fadeOut(Int16Array.from(fading)),
      kind: "played",
    };
    this.position += fading.length;
  }

  #takeTail(tail: Piece & { readonly kind: SpanKind }, out: Int16Array, filled: number): Span {
    const length = Math.min(out.length - filled, tail.samples.length);
    out.set(tail.samples.subarray(0, length), filled);
    const kind = tail.kind;
    const moved = kind === "played" ? length : 0;
    const rest = tail.samples.subarray(length);
    this.#tail = rest.length ? { start: tail.start + moved, samples: rest, kind } : undefined;
    if (kind === "concealed") {
      this.#madeUp += length;
      if (this.#dry !== undefined) this.#dry += length;
    }
    return { offset: filled, length, position: tail.start, kind };
  }
}
