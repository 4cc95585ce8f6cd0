/** Media of a client without microphone and speaker: nobody hears the bot, in real time. */
import { HeadlessMedia, type Sound } from "./headless-media.js";
import { PositionClock } from "./position.js";

/** Audio that comes after silence begins to pass this much later, as a speaker's would. */
const TARGET_MS = 40;

export function silentMedia(): HeadlessMedia {
  return new HeadlessMedia({ sound: (pathId, changed) => new Unheard(pathId, changed) });
}

/** Passes the time that the audio takes. */
class Unheard implements Sound {
  readonly concealedMs = 0;
  readonly #clock = new PositionClock();
  /** Until when there is audio, on this client's clock and on the media clock. */
  #endAtMs = 0;
  #endMs = 0;

  constructor(
    readonly pathId: number,
    private readonly changed: () => void,
  ) {}

  get bufferedMs(): number {
    return Math.max(0, this.#endAtMs - performance.now());
  }

  start(fromMs: number): void {
    this.#endMs = Math.max(this.#endMs, fromMs);
    this.#clock.restart(fromMs);
  }

  push(sampleIndex: number, data: Uint8Array, sampleRate: number): void {
    const perMs = sampleRate / 1000;
    const beginMs = Math.max(sampleIndex / perMs, this.#endMs);
    const durationMs = (sampleIndex + data.length / 2) / perMs - beginMs;
    if (durationMs <= 0) return;
    const now = performance.now();
    const atMs = this.#endAtMs > now ? this.#endAtMs : now + TARGET_MS;
    this.#clock.note({ atMs, durationMs, positionMs: beginMs, moves: true });
    this.#endAtMs = atMs + durationMs;
    this.#endMs = beginMs + durationMs;
    this.changed();
  }

  positionMs(nowMs: number): number {
    return this.#clock.where(nowMs).positionMs;
  }

  reached(nowMs: number) {
    return this.#clock.reached(nowMs);
  }

  timeOf(mediaMs: number): number | undefined {
    return this.#clock.timeOf(mediaMs);
  }

  sounding(nowMs: number): boolean {
    return this.#clock.where(nowMs).moving;
  }

  async flush(untilMs: number): Promise<number> {
    const stopMs = this.positionMs(performance.now());
    this.#clock.restart(stopMs);
    this.#endAtMs = 0;
    this.#endMs = Math.max(untilMs, stopMs);
    return stopMs;
  }

  stop(): void {
    this.#clock.restart(this.positionMs(performance.now()));
    this.#endAtMs = 0;
  }
}
