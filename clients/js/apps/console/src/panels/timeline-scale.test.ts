import { expect, test } from "vitest";
import { SAMPLE_MS, type Sample, SampleTrail } from "../state/sample-trail.js";
import { Row, TimeScale } from "./timeline-scale.js";

/** So many milliseconds of talk or silence behind what is there. */
function record(trail: SampleTrail, lengthMs: number, quiet: boolean): void {
  for (let ms = 0; ms < lengthMs; ms += SAMPLE_MS) {
    const atMs = clock;
    clock += SAMPLE_MS;
    trail.push({ atMs, mediaMs: atMs, microphone: 0, bot: quiet ? 0 : 0.5, quiet });
  }
}
let clock = 0;

const spanOf = (scale: TimeScale, samples: readonly Sample[]) =>
  scale.at(samples.at(-1)?.atMs ?? 0) - scale.at(samples[0]?.atMs ?? 0);

test("however long a silence is, it is drawn as long as its two ends and a fold", () => {
  const spans = [5000, 60_000, 600_000].map((silenceMs) => {
    const trail = new SampleTrail();
    record(trail, 3000, false);
    record(trail, silenceMs, true);
    record(trail, 2000, false);
    const scale = new TimeScale(trail.samples);
    expect(scale.folds).toHaveLength(1);
    expect(scale.resting).toBe(false);
    return spanOf(scale, trail.samples);
  });
  expect(new Set(spans)).toEqual(new Set([3000 + 400 + 400 + 400 + 2000 - 2 * SAMPLE_MS]));
});

test("while nobody speaks the axis stands still; a short pause is drawn as it was", () => {
  const trail = new SampleTrail();
  record(trail, 1000, false);
  record(trail, 800, true);
  const pause = new TimeScale(trail.samples);
  expect([pause.folds.length, pause.resting]).toEqual([0, false]);
  record(trail, 4000, true);
  const before = new TimeScale(trail.samples);
  const span = spanOf(before, trail.samples);
  record(trail, 4000, true);
  const after = new TimeScale(trail.samples);
  expect([before.resting, after.resting]).toEqual([true, true]);
  expect(spanOf(after, trail.samples)).toBe(span);
});

test("talk is kept for two minutes, silences do not count", () => {
  const trail = new SampleTrail();
  for (let turn = 0; turn < 20; turn++) {
    record(trail, 10_000, false);
    record(trail, 60_000, true);
  }
  const talk = trail.samples.filter(({ quiet }) => !quiet).length * SAMPLE_MS;
  expect(talk).toBeGreaterThan(90_000);
  expect(trail.samples.length * SAMPLE_MS).toBeLessThanOrEqual(120_000);
});

test("moments keep their order, inside folds too", () => {
  const trail = new SampleTrail();
  record(trail, 1000, false);
  record(trail, 9000, true);
  record(trail, 1000, false);
  const scale = new TimeScale(trail.samples);
  const from = trail.samples[0]?.atMs ?? 0;
  const places = Array.from({ length: 110 }, (_, at) => scale.at(from + at * 100));
  expect(places).toEqual(places.toSorted((one, two) => one - two));
  expect(scale.hides(from + 5000)).toBe(true);
  expect(scale.hides(from + 500)).toBe(false);
});

test("words stand on one row: behind each other where they are long, at their place where not", () => {
  const row = new Row();
  expect([row.place(0, 40), row.place(30, 20), row.place(200, 20)]).toEqual([0, 45, 200]);
  expect(row.place(100, 10)).toBeUndefined(); // more than a word too late: not written
});
