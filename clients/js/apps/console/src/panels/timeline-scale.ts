import { SAMPLE_MS, type Sample } from "../state/sample-trail.js";

/** Samples further apart than this have a silence between them that was not kept. */
const GAP_MS = 10 * SAMPLE_MS;
/** What a silence is drawn as long as. */
const FOLDED_MS = 400;
/** How far behind its sound a word may be written. */
const MAX_DRIFT_PX = 90;
const WORD_GAP_PX = 5;

/** A silence that is drawn shorter than it was. */
export interface Fold {
  readonly fromMs: number;
  readonly toMs: number;
}

/** The time axis of the timeline: page time, with long silences folded. */
export class TimeScale {
  readonly folds: readonly Fold[];
  /** Nobody spoke since the last fold: the axis stands still, and the talk stays in view. */
  readonly resting: boolean;

  constructor(samples: readonly Sample[]) {
    const folds: Fold[] = [];
    let spoken = true;
    for (const [at, { atMs, quiet }] of samples.entries()) {
      const before = samples[at - 1]?.atMs ?? atMs;
      if (atMs - before > GAP_MS) {
        folds.push({ fromMs: before, toMs: atMs });
        spoken = false;
      }
      if (!quiet) spoken = true;
    }
    this.folds = folds;
    this.resting = !spoken;
  }

  /** Where a moment is on the axis, milliseconds; only differences mean something. */
  at(timeMs: number): number {
    let folded = timeMs;
    for (const { fromMs, toMs } of this.folds) {
      if (timeMs <= fromMs) break;
      const share = Math.min(1, (timeMs - fromMs) / (toMs - fromMs));
      folded -= share * (toMs - fromMs - FOLDED_MS);
    }
    return folded;
  }

  /** True within a fold. */
  hides(timeMs: number): boolean {
    return this.folds.some(({ fromMs, toMs }) => timeMs > fromMs && timeMs < toMs);
  }
}

/** Places texts on one row: each where it belongs, or right behind the one before. */
export class Row {
  #endPx = Number.NEGATIVE_INFINITY;

  /** Where the next text begins; undefined when there is no room near its place. */
  place(wantedPx: number, widthPx: number): number | undefined {
    const left = Math.max(wantedPx, this.#endPx);
    if (left - wantedPx > MAX_DRIFT_PX) return undefined;
    this.#endPx = left + widthPx + WORD_GAP_PX;
    return left;
  }

  /** The room left of a place, for a text that ends there. */
  roomBefore(rightPx: number): number {
    return rightPx - this.#endPx;
  }

  /** Takes the room up to a place. */
  fill(rightPx: number): void {
    this.#endPx = rightPx + WORD_GAP_PX;
  }
}
