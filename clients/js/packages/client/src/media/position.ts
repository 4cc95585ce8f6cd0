/**
 * Where the speaker is on the media clock, from what the audio thread said it has rendered.
 *
 * Pure: times are milliseconds of any monotonic clock and are passed in.
 */

/** How far playout has come, milliseconds of the media clock. */
export interface Reached {
  /** Samples at positions up to this one have begun to sound. */
  readonly soundedMs: number;
  /**
   * Everything that was to happen up to here may happen. Where the position stands still this is
   * the end of what was played, though the sample there has not sounded.
   */
  readonly passedMs: number;
}

/** A stretch of time in which the position moves with it, or stands still. Milliseconds. */
export interface Stretch {
  readonly atMs: number;
  readonly durationMs: number;
  readonly positionMs: number;
  readonly moves: boolean;
}

/** A peer may round the end of its audio up by this much. */
const ROUNDING_MS = 1;
/** A timer may fire this much early. */
const EARLY_MS = 0.05;
/** What is known about the last moments; older stretches are forgotten. */
const KEPT_MS = 2000;

/** Position and movement at a moment, as `Reached`. */
export function reachedAt(positionMs: number, moving: boolean): Reached {
  if (moving) {
    const soundedMs = Math.floor(positionMs + EARLY_MS);
    return { soundedMs, passedMs: soundedMs };
  }
  const endMs = Math.ceil(positionMs - 1e-6);
  return { soundedMs: endMs - 1, passedMs: endMs + ROUNDING_MS };
}

/** Maps time to the media clock. Stretches are noted in order, ahead of their time or behind it. */
export class PositionClock {
  #stretches: Stretch[] = [];
  #before = 0;
  readonly #runOnMs: number;

  /** @param runOnMs How long the newest stretch is believed to go on, until the next is noted. */
  constructor(runOnMs = 0) {
    this.#runOnMs = runOnMs;
  }

  /** Takes the next stretch; one that goes on where the last one ended becomes part of it. */
  note(stretch: Stretch): void {
    const last = this.#stretches.at(-1);
    if (last && last.moves === stretch.moves && this.#continues(last, stretch)) {
      const durationMs = stretch.atMs + stretch.durationMs - last.atMs;
      this.#stretches[this.#stretches.length - 1] = { ...last, durationMs };
    } else {
      this.#stretches.push(stretch);
    }
  }

  /** Forgets what was noted; the position stays at `positionMs`. */
  restart(positionMs: number): void {
    this.#stretches = [];
    this.#before = positionMs;
  }

  /** Position of the next sample to sound, and whether it moves. */
  where(nowMs: number): { readonly positionMs: number; readonly moving: boolean } {
    this.#forget(nowMs);
    let result = { positionMs: this.#before, moving: false };
    for (const [index, stretch] of this.#stretches.entries()) {
      if (nowMs < stretch.atMs) break;
      const newest = index === this.#stretches.length - 1;
      const lasts = stretch.durationMs + (newest ? this.#runOnMs : 0);
      const elapsed = Math.min(nowMs - stretch.atMs, lasts);
      const moving = stretch.moves && nowMs - stretch.atMs < lasts;
      result = { positionMs: stretch.positionMs + (stretch.moves ? elapsed : 0), moving };
    }
    return result;
  }

  reached(nowMs: number): Reached {
    const { positionMs, moving } = this.where(nowMs);
    return reachedAt(positionMs, moving);
  }

  /** When the sample at a position sounds; undefined = not as far as is known. */
  timeOf(mediaMs: number): number | undefined {
    for (const [index, stretch] of this.#stretches.entries()) {
      if (!stretch.moves) continue;
      const newest = index === this.#stretches.length - 1;
      const lasts = stretch.durationMs + (newest ? this.#runOnMs : 0);
      if (mediaMs < stretch.positionMs + lasts) {
        return stretch.atMs + Math.max(0, mediaMs - stretch.positionMs);
      }
    }
    return undefined;
  }

  #continues(last: Stretch, next: Stretch): boolean {
    if (Math.abs(last.atMs + last.durationMs - next.atMs) > 0.5) return false;
    const expected = last.positionMs + (last.moves ? last.durationMs : 0);
    return Math.abs(expected - next.positionMs) < 0.5;
  }

  #forget(nowMs: number): void {
    const old = (stretch: Stretch) => stretch.atMs + stretch.durationMs < nowMs - KEPT_MS;
    while (this.#stretches.length > 1 && this.#stretches[0] && old(this.#stretches[0])) {
      const [gone] = this.#stretches.splice(0, 1);
      if (gone) this.#before = gone.positionMs + (gone.moves ? gone.durationMs : 0);
    }
  }
}
