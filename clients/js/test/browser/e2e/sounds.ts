/** What the tap heard. */
import { quantile } from "./times.js";

/** A peak above this is a click; one above the other is a sound at all. */
const LOUD = 0.2;
const QUIET = 0.0015;

export type Heard = readonly (readonly [number, number])[];

/** Onsets of clicks, context seconds. */
export function clicks(heard: Heard): number[] {
  const onsets: number[] = [];
  let last = Number.NEGATIVE_INFINITY;
  for (const [at, peak] of heard) {
    if (peak <= LOUD) continue;
    if (at - last > 0.05) onsets.push(at);
    last = at;
  }
  return onsets;
}

/** Page time (`performance.now()`) of moments of the context, milliseconds. */
export function pageClock(behind: readonly number[]): (seconds: number) => number {
  const offsetMs = quantile(behind, 0.5);
  return (seconds) => seconds * 1000 + offsetMs;
}

/** When the last sound was heard, page time in milliseconds. */
export function silentSince(heard: Heard, behind: readonly number[]): number {
  const last = heard.findLast(([, peak]) => peak > QUIET);
  return last ? pageClock(behind)(last[0]) : Number.NEGATIVE_INFINITY;
}

/** Share of the milliseconds between two moments of the page in which there was a sound. */
export function soundBetween(
  heard: Heard,
  behind: readonly number[],
  fromMs: number,
  toMs: number,
): number {
  const pageMs = pageClock(behind);
  const within = heard.filter(([at, peak]) => {
    const ms = pageMs(at);
    return peak > QUIET && ms >= fromMs && ms < toMs;
  });
  return within.length / (toMs - fromMs);
}
