/** How loud the page's own microphone was, millisecond by millisecond: where did speech end? */

const KEPT_MS = 6000;
const WINDOW = 32_768;
/** As the server looks for the end of speech (protocol/spec/metrics.md). */
const QUIET = 0.001;
const BELOW_PEAK = 0.005;
const NOISY = 0.25;
const FLOOR_MS = 100;
/** The way to the server is shorter than this; clocks agree within the other. */
const LONGEST_WAY_MS = 600;
const CLOCKS_MS = 25;
const PEAK_MS = 2000;

/** Peaks (0 … 1) of one microphone in one AudioContext; times are the page's (`performance.now`). */
export class MicrophoneTrace {
  readonly #samples = new Float32Array(WINDOW);
  #analyser: AnalyserNode | undefined;
  #input: AudioNode | undefined;
  #peaks: number[] = [];
  /** Context time behind the last peak, whole milliseconds. */
  #endMs = 0;

  /** Takes what came since the last look, some times a second. */
  look(input: AudioNode | undefined): void {
    if (input !== this.#input) this.#follow(input);
    const analyser = this.#analyser;
    if (analyser === undefined) return;
    const { currentTime, sampleRate } = analyser.context;
    analyser.getFloatTimeDomainData(this.#samples);
    const nowMs = Math.floor(currentTime * 1000);
    const oldestMs = Math.ceil((currentTime - WINDOW / sampleRate) * 1000);
    if (oldestMs > this.#endMs) this.#peaks = []; // too late: what was missed is not known
    const start = (ms: number) =>
      Math.max(0, Math.round(WINDOW - (currentTime - ms / 1000) * sampleRate));
    for (let ms = Math.max(this.#endMs, oldestMs); ms < nowMs; ms += 1) {
      this.#peaks.push(peakOf(this.#samples.subarray(start(ms), start(ms + 1))));
    }
    this.#endMs = Math.max(this.#endMs, nowMs);
    if (this.#peaks.length > KEPT_MS) this.#peaks.splice(0, this.#peaks.length - KEPT_MS);
  }

  /** When speech ended that had reached the server at a moment; undefined = it does not show. */
  stopBefore(arrivedMs: number): number | undefined {
    const context = this.#analyser?.context;
    if (!(context instanceof AudioContext)) return undefined;
    const offsetMs = pageOffsetMs(context);
    const stop = this.#lastSound(Math.round(arrivedMs - offsetMs));
    return stop === undefined ? undefined : stop + offsetMs;
  }

  stop(): void {
    this.#follow(undefined);
  }

  #lastSound(arrivedMs: number): number | undefined {
    const firstMs = this.#endMs - this.#peaks.length;
    const at = (ms: number) => Math.max(0, ms - firstMs);
    const from = at(arrivedMs - LONGEST_WAY_MS);
    const to = at(arrivedMs + CLOCKS_MS);
    const floor = Math.max(0, ...this.#peaks.slice(to, to + FLOOR_MS));
    const peak = Math.max(0, ...this.#peaks.slice(at(arrivedMs - PEAK_MS), to));
    if (to > this.#peaks.length || floor > peak * NOISY) return undefined;
    const level = Math.max(QUIET, 2 * floor, peak * BELOW_PEAK);
    const last = this.#peaks.slice(from, to).findLastIndex((value) => value > level);
    return last < 0 ? undefined : firstMs + from + last + 1;
  }

  #follow(input: AudioNode | undefined): void {
    this.#analyser?.disconnect();
    this.#analyser = undefined;
    this.#input = input;
    this.#peaks = [];
    this.#endMs = 0;
    if (input === undefined) return;
    this.#analyser = new AnalyserNode(input.context, { fftSize: WINDOW });
    input.connect(this.#analyser);
  }
}

function peakOf(samples: Float32Array): number {
  let peak = 0;
  for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
  return peak;
}

/** What is to be added to a context's time to have the page's, milliseconds. A context renders in
 * bursts; where the device's own clock is known, that is taken, as the client does; Firefox may wait
 * for it for ever. */
function pageOffsetMs(context: AudioContext): number {
  const told = navigator.userAgent.includes("Firefox/")
    ? undefined
    : context.getOutputTimestamp?.();
  const { contextTime, performanceTime } = told ?? {};
  if (!contextTime || !performanceTime) return performance.now() - context.currentTime * 1000;
  const aheadMs = ((context.outputLatency || 0) + (context.baseLatency || 0) / 2) * 1000;
  return performanceTime - contextTime * 1000 - aheadMs;
}
