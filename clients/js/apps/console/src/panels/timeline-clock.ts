import type { Sample } from "../state/sample-trail.js";

/**
 * When the speaker was, or will be, at a position of the media clock: page time, milliseconds.
 * undefined when that was before the first sample, or nothing was sampled yet.
 */
export function timeOfMedia(samples: readonly Sample[], mediaMs: number): number | undefined {
  const first = samples[0];
  const last = samples.at(-1);
  if (first === undefined || last === undefined || mediaMs < first.mediaMs) return undefined;
  if (mediaMs >= last.mediaMs) return last.atMs + (mediaMs - last.mediaMs);
  let low = 0;
  let high = samples.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((samples[middle]?.mediaMs ?? 0) <= mediaMs) low = middle;
    else high = middle;
  }
  const [before, after] = [samples[low] ?? first, samples[high] ?? last];
  const span = after.mediaMs - before.mediaMs;
  const share = span <= 0 ? 0 : (mediaMs - before.mediaMs) / span;
  return before.atMs + share * (after.atMs - before.atMs);
}
