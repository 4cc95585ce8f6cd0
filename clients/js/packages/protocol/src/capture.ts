/**
 * The user's newest audio, kept by number: what a path that broke did not bring is sent again.
 *
 * A client counts every sample that it captures, on one clock for the whole session, whatever path
 * carries it and whether or not the user is muted. It keeps what is younger than `KEPT_MS`, sent or
 * not, since what lay in the buffers of a socket that broke was never heard
 * (protocol/spec/media-clock.md, "The user's audio"). Nothing here reads a clock.
 */

/** How long the user's audio is kept, and how much of it, milliseconds. */
export const KEPT_MS = 3000;
/** What is left out where it is not known which sample came last: rather a hole than twice. */
export const SEAM_MS = 60;
/** How much longer it is kept once it was said what is lost: the rest is on its way by then. */
const GRACE_MS = 200;

/** Audio that is to be sent: int16 mono, and the number of its first sample. */
export interface CapturePiece {
  readonly index: number;
  readonly samples: Int16Array;
}

interface Block extends CapturePiece {
  readonly end: number;
  readonly atMs: number;
}

export interface KeptCaptureOptions {
  /** Of the user's audio, Hz. */
  readonly sampleRate: number;
  /** How long it is kept, milliseconds. */
  readonly keptMs?: number;
}

/** Keeps one session's microphone and says what of it is to be sent next. */
export class KeptCapture {
  /** Number of the sample that is captured next. */
  nextIndex = 0;
  /** Samples that the server will never have because they became too old to be kept. */
  lostSamples = 0;
  readonly #rate: number;
  readonly #keptMs: number;
  readonly #maxSamples: number;
  #blocks: Block[] = [];
  /** Nothing before it is owed: the user was muted there. */
  #floor = 0;
  /** What is lost before it has been counted. */
  #counted = 0;
  /** What is sent next; undefined = no path takes audio. */
  #cursor: number | undefined;
  /** Until then what was there when a path began is not let go. */
  #owedUntilMs = 0;
  #owedEnd = 0;

  constructor({ sampleRate, keptMs = KEPT_MS }: KeptCaptureOptions) {
    this.#rate = sampleRate;
    this.#keptMs = keptMs;
    this.#maxSamples = Math.floor((keptMs * sampleRate) / 1000);
  }

  /** Samples that a path has yet to send; 0 without a path. */
  get waitingSamples(): number {
    return this.#cursor === undefined ? 0 : this.nextIndex - this.#cursor;
  }

  /** Takes what the microphone gave; the samples are kept, not copied. */
  capture(samples: Int16Array, nowMs: number): void {
    if (samples.length > 0) {
      const index = this.nextIndex;
      this.nextIndex += samples.length;
      this.#blocks.push({ index, samples, end: this.nextIndex, atMs: nowMs });
    }
    this.#trim(nowMs);
  }

  /** The user is not heard: the count goes on, nothing is kept, what waited is forgotten. */
  mute(numSamples = 0): void {
    this.nextIndex += numSamples;
    this.#floor = this.nextIndex;
    this.#blocks = [];
    if (this.#cursor !== undefined) this.#cursor = this.nextIndex;
  }

  /** No path takes audio any more. */
  park(): void {
    this.#cursor = undefined;
  }

  /** A path takes audio, and the server wants it from `index` on. Returns how many samples from
   * there on are not kept any more; they count as lost. The rest is kept until a path that sends it
   * at once has done so. */
  resume(index: number, nowMs: number): number {
    this.#cursor = undefined;
    this.#owedUntilMs = 0;
    this.#trim(nowMs);
    const start = Math.min(Math.max(index, this.#floor), this.nextIndex);
    const cursor = Math.max(start, this.#blocks[0]?.index ?? this.nextIndex);
    this.#cursor = cursor;
    this.#owedUntilMs = nowMs + GRACE_MS;
    this.#owedEnd = this.nextIndex;
    this.#count(start, cursor);
    return cursor - start;
  }

  /** The same where the server knows only how long ago the newest of its audio came. */
  resumeAfter(ageMs: number, nowMs: number): number {
    const back = Math.max(0, Math.floor(((ageMs - SEAM_MS) * this.#rate) / 1000));
    return this.resume(Math.max(0, this.nextIndex - back), nowMs);
  }

  /** A path takes audio from now on; nothing is sent again. */
  follow(): void {
    this.#cursor = this.nextIndex;
  }

  /** What is to be sent next, at most one block as it was captured. */
  peek(nowMs: number): CapturePiece | undefined {
    this.#trim(nowMs);
    const cursor = this.#cursor;
    if (cursor === undefined || cursor >= this.nextIndex) return undefined;
    const block = this.#blocks.find(({ end }) => end > cursor);
    return block && { index: cursor, samples: block.samples.subarray(cursor - block.index) };
  }

  /** What `peek` returned is on its way. */
  sent({ index, samples }: CapturePiece): void {
    if (this.#cursor === undefined) return;
    this.#cursor = Math.max(this.#cursor, index + samples.length);
  }

  /** Lets go of what is too old or too much; the newest block stays while it is young. */
  #trim(nowMs: number): void {
    let drop = 0;
    const owedEnd = nowMs < this.#owedUntilMs ? this.#owedEnd : 0;
    for (const [at, block] of this.#blocks.entries()) {
      const young = nowMs - block.atMs <= this.#keptMs;
      const newest = at === this.#blocks.length - 1;
      if (young && (newest || this.nextIndex - block.index <= this.#maxSamples)) break;
      if (block.end <= owedEnd) break;
      drop = at + 1;
      if (this.#cursor !== undefined && block.end > this.#cursor) {
        this.#count(this.#cursor, block.end);
        this.#cursor = block.end;
      }
    }
    if (drop > 0) this.#blocks.splice(0, drop);
  }

  /** Counts what is lost, once. */
  #count(start: number, end: number): void {
    this.lostSamples += Math.max(0, end - Math.max(start, this.#counted));
    this.#counted = Math.max(this.#counted, end);
  }
}
