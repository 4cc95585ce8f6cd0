/**
 * The playout buffer behind a speaker's own rate: what the playout worklet does, without one.
 *
 * Frames are sample frames of the speaker's clock.
 */
import { moves, PlayoutBuffer } from "./playout-buffer.js";
import { Resampler } from "./resampler.js";

/** Movement of the position is told this often while nothing else changes. */
const TELL_MS = 20;

/** More than the resampler looks at: after that much silence there is nothing to compute. */
const QUIET_SAMPLES = 128;

/** A stretch of the speaker's clock and where it is on the media clock (samples of the stream). */
export interface RenderedStretch {
  readonly frame: number;
  readonly frames: number;
  readonly position: number;
  readonly moves: boolean;
}

/** What the audio thread tells. */
export interface PlayoutFacts {
  readonly stretches: readonly RenderedStretch[];
  readonly bufferedMs: number;
  readonly concealedMs: number;
  readonly targetMs: number;
  readonly underruns: number;
}

export interface RendererOptions {
  /** Of the stream, Hz. */
  readonly sampleRate: number;
  /** Of the speaker, Hz. */
  readonly outputRate: number;
  readonly targetMs: number;
}

/** Plays one stream. */
export class PlayoutRenderer {
  readonly buffer: PlayoutBuffer;
  readonly #resampler: Resampler;
  readonly #ratio: number;
  readonly #tellFrames: number;
  /** Frame at which the first sample of the stream stood, and how many were pulled since. */
  #origin: number | undefined;
  #pulled = 0;
  #rendered = 0;
  #stretches: RenderedStretch[] = [];
  #untold = 0;
  #moving = false;
  /** Samples of silence since the last sound: what the resampler still holds is known then. */
  #quiet = 0;

  constructor(options: RendererOptions) {
    this.buffer = new PlayoutBuffer({
      sampleRate: options.sampleRate,
      targetMs: options.targetMs,
    });
    this.#resampler = new Resampler(options.sampleRate, options.outputRate);
    this.#ratio = options.outputRate / options.sampleRate;
    this.#tellFrames = (options.outputRate * TELL_MS) / 1000;
  }

  /** Fills the next frames; returns facts when there is something new to tell. */
  render(out: Float32Array, frame: number): PlayoutFacts | undefined {
    if (this.#quiet > QUIET_SAMPLES && this.buffer.idle) {
      out.fill(0);
      return undefined;
    }
    if (this.#origin === undefined || frame !== this.#origin + this.#rendered) {
      this.#origin = frame - this.#rendered;
    }
    const before = this.#stretches.at(-1)?.moves ?? this.#moving;
    const needed = this.#resampler.needs(out.length);
    if (needed > 0) this.#pull(needed, this.#origin);
    this.#resampler.pull(out);
    this.#rendered += out.length;
    this.#untold += out.length;
    const changed = this.#stretches.some((stretch) => stretch.moves !== before);
    const due = this.#moving && this.#untold >= this.#tellFrames;
    return changed || due ? this.#tell() : undefined;
  }

  /** Falls silent; returns the position (samples) at which the sound stops. */
  flush(until: number): number {
    return this.buffer.flush(until);
  }

  #pull(count: number, origin: number): void {
    const block = this.buffer.pull(count);
    const floats = new Float32Array(count);
    for (let index = 0; index < count; index += 1) {
      floats[index] = (block.samples[index] ?? 0) / 32_768;
    }
    this.#resampler.push(floats);
    for (const span of block.spans) {
      this.#quiet = span.kind === "silent" ? this.#quiet + span.length : 0;
      this.#note({
        frame: origin + (this.#pulled + span.offset) * this.#ratio,
        frames: span.length * this.#ratio,
        position: span.position,
        moves: moves(span.kind),
      });
    }
    this.#pulled += count;
  }

  /** Keeps a stretch to tell; what stands still where it stood before is nothing new. */
  #note(stretch: RenderedStretch): void {
    const last = this.#stretches.at(-1);
    const goesOn =
      last &&
      last.moves === stretch.moves &&
      Math.abs(last.frame + last.frames - stretch.frame) < 1 &&
      stretch.position === last.position + (last.moves ? Math.round(last.frames / this.#ratio) : 0);
    if (goesOn) {
      const frames = stretch.frame + stretch.frames - last.frame;
      this.#stretches[this.#stretches.length - 1] = { ...last, frames };
    } else if (last || stretch.moves || this.#moving) {
      this.#stretches.push(stretch);
    }
    this.#moving = stretch.moves;
  }

  #tell(): PlayoutFacts {
    const stretches = this.#stretches;
    this.#stretches = [];
    this.#untold = 0;
    const { bufferedMs, concealedMs, targetMs, underruns } = this.buffer;
    return { stretches, bufferedMs, concealedMs, targetMs, underruns };
  }
}
