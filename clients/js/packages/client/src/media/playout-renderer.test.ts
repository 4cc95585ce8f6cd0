/** What the playout worklet does: the stream at the speaker's rate, and where it is. */
import { expect, it } from "vitest";
import { type PlayoutFacts, PlayoutRenderer } from "./playout-renderer.js";
import { PositionClock } from "./position.js";

const RATE = 24_000;
const OUT = 44_100;

interface Run {
  readonly sound: Float32Array;
  readonly told: PlayoutFacts[];
}

/** Renders `seconds` in quanta of 128 frames from `frame` on. */
function render(renderer: PlayoutRenderer, frame: number, seconds: number): Run {
  const told: PlayoutFacts[] = [];
  const quanta = Math.floor((seconds * OUT) / 128);
  const sound = new Float32Array(quanta * 128);
  for (let quantum = 0; quantum < quanta; quantum += 1) {
    const out = sound.subarray(quantum * 128, quantum * 128 + 128);
    const facts = renderer.render(out, frame + quantum * 128);
    if (facts) told.push(facts);
  }
  return { sound, told };
}

/** Clicks of one sample at these positions (ms) in silence. */
function clicks(durationMs: number, ...atMs: number[]): Int16Array {
  const samples = new Int16Array((durationMs * RATE) / 1000);
  for (const at of atMs) samples[(at * RATE) / 1000] = 30_000;
  return samples;
}

function clockOf(told: readonly PlayoutFacts[]): PositionClock {
  const clock = new PositionClock();
  for (const { stretches } of told) {
    for (const { frame, frames, position, moves } of stretches) {
      clock.note({
        atMs: (frame * 1000) / OUT,
        durationMs: (frames * 1000) / OUT,
        positionMs: (position * 1000) / RATE,
        moves,
      });
    }
  }
  return clock;
}

it("tells where every sample sounds, to the sample", () => {
  const renderer = new PlayoutRenderer({ sampleRate: RATE, outputRate: OUT, targetMs: 40 });
  render(renderer, 0, 0.1);
  renderer.buffer.push(RATE, clicks(600, 30, 200, 431)); // the media clock is at 1 s
  const start = 128 * 34;
  const { sound, told } = render(renderer, start, 1);
  const clock = clockOf(told);
  for (const at of [30, 200, 431]) {
    const near = Math.round(((clock.timeOf(1000 + at) ?? 0) * OUT) / 1000) - start;
    const around = sound.subarray(near - 20, near + 20);
    const peak = around.reduce(
      (best, sample, index) => (sample > (around[best] ?? 0) ? index : best),
      0,
    );
    expect(Math.abs(peak - 20)).toBeLessThanOrEqual(1);
  }
  expect(told.length).toBeGreaterThan(20);
  expect(told.length).toBeLessThan(45);
});

it("is silent, and says nothing, while there is nothing", () => {
  const renderer = new PlayoutRenderer({ sampleRate: RATE, outputRate: OUT, targetMs: 40 });
  const { sound, told } = render(renderer, 0, 2);
  expect(told).toEqual([]);
  expect(sound.some((sample) => sample !== 0)).toBe(false);
});

it("falls silent within 20 ms of a flush and tells where", () => {
  const renderer = new PlayoutRenderer({ sampleRate: RATE, outputRate: OUT, targetMs: 40 });
  renderer.buffer.push(0, new Int16Array(RATE).fill(8000));
  render(renderer, 0, 0.5);
  const stopped = renderer.flush(RATE);
  const { sound, told } = render(renderer, 128 * 172, 0.5);
  const last = sound.findLastIndex((sample) => Math.abs(sample) > 1e-3);
  expect(last / OUT).toBeLessThan(0.02);
  const clock = clockOf(told);
  expect(Math.abs(clock.where(5000).positionMs - (stopped * 1000) / RATE)).toBeLessThan(0.1);
});

it("takes a context that was suspended for a new place in time", () => {
  const renderer = new PlayoutRenderer({ sampleRate: RATE, outputRate: OUT, targetMs: 40 });
  renderer.buffer.push(0, clicks(1000));
  const before = render(renderer, 0, 0.3);
  const after = render(renderer, OUT * 10, 0.3);
  const at = clockOf([...before.told, ...after.told]).timeOf(400) ?? 0;
  expect(Math.abs(at - 10_100)).toBeLessThan(5);
});
