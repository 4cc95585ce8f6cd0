/** Media of a client without microphone and speaker: nobody hears the bot, in real time. */
import { type Clock, HeadlessMedia, type Sound } from "./headless-media.js";
import { PositionClock } from "./position.js";

/** Audio that comes after silence begins to pass this much later, as a speaker's would. */
const TARGET_MS = 40;

export function silentMedia(): HeadlessMedia {
  return new HeadlessMedia({ sound: (pathId, changed) => new Unheard(pathId, changed) });
}

const OWN_CLOCK: Pick<Clock, "now"> = { now: () => performance.now() };

/** Passes the time that the audio takes. */
export class Unheard implements Sound {
  readonly concealedMs = 0;
  readonly suspended = false;
  readonly #position = new PositionClock();
  /** Until when there is audio, on this client's clock and on the media clock. */
  #endAtMs = 0;
  #endMs = 0;

  constructor(
    readonly pathId: number,
    private readonly changed: () => void,
    private readonly clock: Pick<Clock, "now"> = OWN_CLOCK,
  ) {}

  get bufferedMs(): number {
    return Math.max(0, this.#endAtMs - this.clock.now());
  }

  start(fromMs: number): void {
    this.#endMs = Math.max(this.#endMs, fromMs);
    this.#position.restart(fromMs);
  }

  push(sampleIndex: number, data: Uint8Array, sampleRate: number): void {
    const perMs = sampleRate / 1000;
    const beginMs = Math.max(sampleIndex / perMs, this.#endMs);
    const durationMs = (sampleIndex + data.length / 2) / perMs - beginMs;
    if (durationMs <= 0) return;
    const now = this.clock.now();
    const atMs = this.#endAtMs > now ? this.#endAtMs : now + TARGET_MS;
    this.#position.note({ atMs, durationMs, positionMs: beginMs, moves: true });
    this.#endAtMs = atMs + durationMs;
    this.#endMs = beginMs + durationMs;
    this.changed();
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
    const stopMs = this.positionMs(this.clock.now());
    this.#position.restart(stopMs);
    this.#endAtMs = 0;
    this.#endMs = Math.max(untilMs, stopMs);
    return stopMs;
  }

  stop(): void {
    this.#position.restart(this.positionMs(this.clock.now()));
    this.#endAtMs = 0;
  }
}
