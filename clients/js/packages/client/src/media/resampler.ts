/**
 * Streaming sample rate conversion: a windowed sinc, evaluated at any ratio from one table.
 * Pure; used by both worklets. Stop band below -60 dB, delay compensated by reading ahead.
 */

/** Zero crossings of the sinc on each side. */
const CROSSINGS = 16;
/** Table entries between two of them. */
const STEPS = 256;
/** Share of the lower of both Nyquist frequencies that passes. */
const PASS = 0.94;

let table: Float32Array | undefined;

function sincTable(): Float32Array {
  if (table) return table;
  table = new Float32Array(CROSSINGS * STEPS + 2);
  for (let index = 0; index < table.length; index += 1) {
    const x = index / STEPS;
    const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
    const phase = Math.min(1, x / CROSSINGS);
    // Blackman
    const window = 0.42 + 0.5 * Math.cos(Math.PI * phase) + 0.08 * Math.cos(2 * Math.PI * phase);
    table[index] = sinc * window;
  }
  return table;
}

/** Converts mono float samples from one rate to another, piece by piece. */
export class Resampler {
  readonly #step: number;
  readonly #scale: number;
  readonly #reach: number;
  #input = new Float32Array(0);
  /** Index in `#input` of the next output sample. */
  #at: number;

  /** @param from Rate of what is pushed, Hz. @param to Rate of what is pulled, Hz. */
  constructor(from: number, to: number) {
    this.#step = from / to;
    this.#scale = Math.min(1, to / from) * PASS;
    this.#reach = Math.ceil(CROSSINGS / this.#scale);
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

  /** Fills `out`; missing input counts as silence. */
  pull(out: Float32Array): void {
    for (let index = 0; index < out.length; index += 1) {
      out[index] = this.#sample(this.#at);
      this.#at += this.#step;
    }
  }

  #sample(at: number): number {
    const sinc = sincTable();
    const scale = this.#scale;
    const first = Math.max(0, Math.ceil(at - this.#reach));
    const last = Math.min(this.#input.length - 1, Math.floor(at + this.#reach));
    let sum = 0;
    for (let index = first; index <= last; index += 1) {
      const x = Math.abs(index - at) * scale * STEPS;
      const entry = Math.floor(x);
      const low = sinc[entry];
      const high = sinc[entry + 1];
      if (low === undefined || high === undefined) continue;
      sum += (this.#input[index] ?? 0) * (low + (high - low) * (x - entry));
    }
    return sum * scale;
  }
}
