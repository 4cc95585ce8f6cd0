/** Blocks of the user's audio from a microphone's own rate. Pure; used by the capture worklet. */
import { Resampler } from "./resampler.js";

export interface BlockOptions {
  /** Of the microphone, Hz. */
  readonly inputRate: number;
  /** Of the blocks, Hz. */
  readonly sampleRate: number;
  readonly blockSamples: number;
}

/** Cuts a stream of float samples into int16 blocks of equal length. */
export class Blocks {
  readonly #resampler: Resampler;
  readonly #floats: Float32Array;

  constructor(options: BlockOptions) {
    this.#resampler = new Resampler(options.inputRate, options.sampleRate);
    this.#floats = new Float32Array(options.blockSamples);
  }

  /** Takes the next samples; returns the blocks that are complete. */
  push(samples: Float32Array): Int16Array<ArrayBuffer>[] {
    this.#resampler.push(samples);
    const blocks: Int16Array<ArrayBuffer>[] = [];
    while (this.#resampler.available >= this.#floats.length) {
      this.#resampler.pull(this.#floats);
      const block = new Int16Array(this.#floats.length);
      for (const [index, value] of this.#floats.entries()) {
        block[index] = Math.max(-32_768, Math.min(32_767, Math.round(value * 32_768)));
      }
      blocks.push(block);
    }
    return blocks;
  }
}
