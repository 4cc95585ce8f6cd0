/** One path's audio in real time: the bot's, into a timeline. */
import { BLOCK_MS, PLAYOUT_RATE, type Sound } from "../media/headless-media.js";
import { moves, PlayoutBuffer } from "../media/playout-buffer.js";
import { PositionClock } from "../media/position.js";

/** After a longer stall of the program the speaker does not catch up any more, milliseconds. */
const MAX_BEHIND_MS = 2000;

export interface WavSoundOptions {
  readonly pathId: number;
  /** Something sounds that did not, or the other way round. */
  readonly changed: () => void;
  /** What is played, at its position. */
  readonly write: (position: number, samples: Int16Array) => void;
}

export class WavSound implements Sound {
  readonly pathId: number;
  readonly suspended = false;
  readonly #options: WavSoundOptions;
  readonly #buffer = new PlayoutBuffer({ sampleRate: PLAYOUT_RATE });
  readonly #position = new PositionClock();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(options: WavSoundOptions) {
    this.#options = options;
    this.pathId = options.pathId;
  }

  get bufferedMs(): number {
    return this.#buffer.bufferedMs;
  }

  get concealedMs(): number {
    return this.#buffer.concealedMs;
  }

  push(sampleIndex: number, data: Uint8Array): void {
    const even = data.subarray(0, data.length & ~1);
    const view = new DataView(even.buffer, even.byteOffset, even.byteLength);
    const samples = Int16Array.from({ length: even.length / 2 }, (_, at) =>
      view.getInt16(at * 2, true),
    );
    this.#buffer.push(sampleIndex, samples);
  }

  start(fromMs: number): void {
    this.#position.restart(fromMs);
    const position = Math.floor((fromMs * PLAYOUT_RATE) / 1000);
    this.#buffer.restart({ targetMs: 40, position });
    this.#tick(performance.now());
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  positionMs(nowMs: number): number {
    return this.#position.where(nowMs).positionMs;
  }

  reached(nowMs: number) {
    return this.#position.reached(nowMs);
  }

  timeOf(mediaMs: number): number | undefined {
    return this.#position.timeOf(mediaMs);
  }

  sounding(nowMs: number): boolean {
    return this.#position.where(nowMs).moving;
  }

  async flush(untilMs: number): Promise<number> {
    const stopped = this.#buffer.flush(Math.floor((untilMs * PLAYOUT_RATE) / 1000));
    return (stopped * 1000) / PLAYOUT_RATE;
  }

  /** Plays the block that sounds from `atMs` on. */
  #tick(atMs: number): void {
    const count = (PLAYOUT_RATE * BLOCK_MS) / 1000;
    const { samples, spans } = this.#buffer.pull(count);
    const before = this.#position.where(atMs - 1).moving;
    for (const { offset, length, position, kind } of spans) {
      if (kind === "played") {
        this.#options.write(position, samples.subarray(offset, offset + length));
      }
      this.#position.note({
        atMs: atMs + (offset * 1000) / PLAYOUT_RATE,
        durationMs: (length * 1000) / PLAYOUT_RATE,
        positionMs: (position * 1000) / PLAYOUT_RATE,
        moves: moves(kind),
      });
    }
    const now = performance.now();
    if (before !== this.#position.where(now).moving) this.#options.changed();
    if (this.#stopped) return;
    const nextMs = now - atMs > MAX_BEHIND_MS ? now : atMs + BLOCK_MS;
    this.#timer = setTimeout(() => this.#tick(nextMs), Math.max(0, nextMs - now));
  }
}
