/**
 * Streaming sample rate conversion: a windowed sinc, tabulated for fractions of a sample.
 * Pure; used by both worklets. Stop band below -60 dB, delay compensated by reading ahead.
 */

/** Zero crossings of the sinc on each side. */
const CROSSINGS = 16;
/** Positions between two samples that are told apart. */
const PHASES = 512;
/** Share of the lower of both Nyquist frequencies that passes. */
const PASS = 0.94;

/** The filter at a distance from its middle, in its own zero crossings. */
function kernel(distance: number): number {
  const x = Math.abs(distance);
  if (x >= CROSSINGS) return 0;
  const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
  const phase = (Math.PI * x) / CROSSINGS;
  return sinc * (0.42 + 0.5 * Math.cos(phase) + 0.08 * Math.cos(2 * phase)); // Blackman
}

/** One row of weights for each phase: of the `reach` samples before a position and behind it. */
function weights(scale: number, reach: number): Float32Array {
  const width = 2 * reach;
  const table = new Float32Array(width * PHASES);
  for (let at = 0; at < table.length; at += 1) {
    const phase = Math.floor(at / width) / PHASES;
    table[at] = kernel(((at % width) - reach + 1 - phase) * scale) * scale;
  }
  return table;
}

/** Converts mono float samples from one rate to another, piece by piece. */
export class Resampler {
  readonly #step: number;
  readonly #reach: number;
  readonly #weights: Float32Array;
  #input: Float32Array;
  /** Index in `#input` of the next output sample. */
  #at: number;

  /** @param from Rate of what is pushed, Hz. @param to Rate of what is pulled, Hz. */
  constructor(from: number, to: number) {
    const scale = Math.min(1, to / from) * PASS;
    this.#step = from / to;
    this.#reach = Math.ceil(CROSSINGS / scale);
    this.#weights = weights(scale, this.#reach);
    this.#input = new Float32Array(this.#reach);
    this.#at = this.#reach;
  }

  /** How many more samples must be pushed before `count` can be pulled. */
  needs(count: number): number {
    const last = Math.floor(this.#at + this.#step * (count - 1)) + this.#reach + 1;
    return Math.max(0, last + 1 - this.#input.length);
  }

  /** How many samples can be pulled. */
  get available(): number {
    const room = this.#input.length - 1 - this.#reach - this.#at;
    return room <= 0 ? 0 : Math.ceil(room / this.#step);
  }

  push(samples: Float32Array): void {
    const keepFrom = Math.max(0, Math.floor(this.#at) - this.#reach);
    const next = new Float32Array(this.#input.length - keepFrom + samples.length);
    next.set(this.#input.subarray(keepFrom));
    next.set(samples, this.#input.length - keepFrom);
    this.#input = next;
    this.#at -= keepFrom;
  }

  /** Fills `out`; `needs` says what must be there. */
  pull(out: Float32Array): void {
    // Runs on the audio thread for every sample that is heard: everything is local on purpose.
    const input = this.#input;
    const table = this.#weights;
    const reach = this.#reach;
    const width = 2 * reach;
    for (let index = 0; index < out.length; index += 1) {
      const at = this.#at + this.#step * index + 0.5 / PHASES;
      const whole = Math.floor(at);
      const row = Math.floor((at - whole) * PHASES) * width;
      const first = whole - reach + 1;
      let sum = 0;
      for (let tap = 0; tap < width; tap += 1) {
        sum += (input[first + tap] as number) * (table[row + tap] as number);
      }
      out[index] = sum;
    }
    this.#at += this.#step * out.length;
  }
}
