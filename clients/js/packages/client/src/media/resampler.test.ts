/** Rates of microphones and speakers: what passes is the same sound, what cannot is gone. */
import { describe, expect, it } from "vitest";
import { Blocks } from "./blocks.js";
import { Resampler } from "./resampler.js";

const sine = (hz: number, rate: number, length: number) =>
  Float32Array.from({ length }, (_, at) => Math.sin((2 * Math.PI * hz * at) / rate));

/** Converts in uneven pieces, as an audio thread would. */
function convert(input: Float32Array, from: number, to: number): Float32Array {
  const resampler = new Resampler(from, to);
  const out: number[] = [];
  for (let at = 0; at < input.length; at += 128) {
    resampler.push(input.subarray(at, at + 128));
    const piece = new Float32Array(resampler.available);
    resampler.pull(piece);
    out.push(...piece);
  }
  return Float32Array.from(out);
}

const rms = (samples: Float32Array) =>
  Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);

describe.each([
  [48_000, 16_000],
  [44_100, 16_000],
  [24_000, 48_000],
  [24_000, 44_100],
  [16_000, 16_000],
])("%i Hz to %i Hz", (from, to) => {
  it("keeps a tone in its place", () => {
    const out = convert(sine(440, from, from / 2), from, to);
    const wanted = sine(440, to, out.length);
    const off = out.map((sample, at) => Math.abs(sample - (wanted[at] ?? 0)));
    expect(Math.max(...off.subarray(100, -100))).toBeLessThan(0.01);
    expect(out.length).toBeGreaterThan(to / 2 - 200);
  });
});

it("lets nothing through that the lower rate cannot carry", () => {
  const out = convert(sine(10_000, 48_000, 24_000), 48_000, 16_000);
  expect(rms(out.subarray(200, -200))).toBeLessThan(0.002);
});

it("says exactly what it needs", () => {
  const resampler = new Resampler(24_000, 44_100);
  const input = sine(300, 24_000, 24_000);
  let used = 0;
  for (let frame = 0; frame + 128 < 40_000; frame += 128) {
    const needed = resampler.needs(128);
    resampler.push(input.subarray(used, used + needed));
    used += needed;
    expect(resampler.available).toBeGreaterThanOrEqual(128);
    resampler.pull(new Float32Array(128));
  }
  expect(Math.abs(used - (39_936 * 24_000) / 44_100)).toBeLessThan(30);
});

it("cuts the user's audio into int16 blocks of 20 ms", () => {
  const blocks = new Blocks({ inputRate: 44_100, sampleRate: 16_000, blockSamples: 320 });
  const input = sine(440, 44_100, 44_100).map((sample) => sample * 2); // clipped, never wrapped
  const got: Int16Array[] = [];
  for (let at = 0; at < input.length; at += 128)
    got.push(...blocks.push(input.slice(at, at + 128)));
  expect(got.length).toBe(49);
  expect(got.every((block) => block.length === 320)).toBe(true);
  const flat = got.flatMap((block) => [...block]);
  expect([Math.max(...flat), Math.min(...flat)]).toEqual([32_767, -32_768]);
  const steps = flat.slice(1).map((sample, at) => Math.abs(sample - (flat[at] ?? 0)));
  expect(Math.max(...steps)).toBeLessThan(14_000);
});
