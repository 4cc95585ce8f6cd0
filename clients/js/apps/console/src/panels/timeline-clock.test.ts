import { expect, test } from "vitest";
import type { Sample } from "../state/sample-trail.js";
import { timeOfMedia } from "./timeline-clock.js";

const sample = (atMs: number, mediaMs: number): Sample => ({
  atMs,
  mediaMs,
  microphone: 0,
  bot: 0,
  quiet: false,
});
const SAMPLES = [sample(1000, 0), sample(1050, 50), sample(1100, 100), sample(1600, 100)];

test("a position in the past is where the speaker was, in the future where it will be", () => {
  expect(timeOfMedia(SAMPLES, 25)).toBe(1025);
  expect(timeOfMedia(SAMPLES, 75)).toBe(1075);
  expect(timeOfMedia(SAMPLES, 400)).toBe(1900);
});

test("what was before the first sample, or without any, has no time", () => {
  expect(timeOfMedia([], 10)).toBeUndefined();
  expect(timeOfMedia([sample(0, 500)], 10)).toBeUndefined();
});
