/** What both sides sounded like at one moment. */
export interface Sample {
  readonly atMs: number;
  /** 0 … 1. */
  readonly microphone: number;
  readonly bot: number;
  /** Where the speaker was on the media clock. */
  readonly mediaMs: number;
  /** Nobody speaks. */
  readonly quiet: boolean;
}

export const SAMPLE_MS = 50;
/** What is kept of a silence at each of its ends; speech is noticed within it. */
const ENDS = 400 / SAMPLE_MS;
/** Two minutes of talk. */
const MAX_SAMPLES = 120_000 / SAMPLE_MS;

/** The samples of a session without the middles of its silences, so that the talk stays. */
export class SampleTrail {
  readonly samples: Sample[] = [];
  #quiet = 0;

  push(sample: Sample): void {
    this.samples.push(sample);
    this.#quiet = sample.quiet ? this.#quiet + 1 : 0;
    if (this.#quiet > 2 * ENDS) this.samples.splice(-1 - ENDS, 1);
    else if (this.samples.length > MAX_SAMPLES) this.samples.shift();
  }

  clear(): void {
    this.samples.length = 0;
    this.#quiet = 0;
  }
}
