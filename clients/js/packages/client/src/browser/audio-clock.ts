/** When a frame of an AudioContext leaves the page, on the page's clock (`performance.now`). */

/** Latency of an output device that nobody notices, milliseconds; what is above it counts. */
const UNNOTICED_MS = 40;
/** Weight of a new observation. */
const GAIN = 0.1;
/** A step that is no jitter: the context was suspended meanwhile. */
const JUMP_MS = 30;

export class AudioClock {
  readonly #context: AudioContext;
  readonly #deviceTells: boolean;
  /** Milliseconds to add to a context's time. */
  #offsetMs: number | undefined;

  /**
   * @param deviceTells False where the device's clock and latency are not to be asked for: Firefox
   * (153) waits for its audio thread in both, and now and then for ever, with the whole tab.
   */
  constructor(
    context: AudioContext,
    deviceTells = !globalThis.navigator?.userAgent?.includes("Firefox/"),
  ) {
    this.#context = context;
    this.#deviceTells = deviceTells;
  }

  /** Looks at both clocks again; to be called now and then. */
  observe(): void {
    const seen = this.#observed();
    const known = this.#offsetMs;
    this.#offsetMs =
      known === undefined || Math.abs(seen - known) > JUMP_MS
        ? seen
        : known + (seen - known) * GAIN;
  }

  /** The moment at which the sample at this context time (seconds) goes through the output node. */
  msOf(contextTime: number): number {
    if (this.#offsetMs === undefined) this.observe();
    return contextTime * 1000 + (this.#offsetMs ?? 0) + this.deviceDelayMs;
  }

  /** The context time (seconds) of a moment: `msOf` the other way round. */
  timeOf(ms: number): number {
    if (this.#offsetMs === undefined) this.observe();
    return (ms - (this.#offsetMs ?? 0) - this.deviceDelayMs) / 1000;
  }

  /** What the output device adds beyond what every device does (a Bluetooth headset: 150 ms). */
  get deviceDelayMs(): number {
    if (!this.#deviceTells) return 0;
    return Math.max(0, (this.#context.outputLatency || 0) * 1000 - UNNOTICED_MS);
  }

  /**
   * Rendering goes in bursts ahead of the device. The device's own clock is smooth, and is taken
   * where there is one, less what lies between rendering and sounding.
   */
  #observed(): number {
    const context = this.#context;
    const told = this.#deviceTells ? context.getOutputTimestamp?.() : undefined;
    const { contextTime, performanceTime } = told ?? {};
    if (contextTime && performanceTime) {
      const aheadMs = ((context.outputLatency || 0) + (context.baseLatency || 0) / 2) * 1000;
      return performanceTime - contextTime * 1000 - aheadMs;
    }
    return performance.now() - context.currentTime * 1000;
  }
}
