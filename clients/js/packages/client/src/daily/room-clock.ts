/**
 * Where the speaker is on the media clock while a Daily room plays: an estimate, by ear.
 *
 * The server says at which position the first sound of a stretch stands, about when it leaves; here
 * that sound is heard to begin behind a silence, and time is counted from there. Mirrors
 * `voxwire._room_places`; protocol/spec/media-clock.md, "Daily". Pure: times are milliseconds of
 * one clock and are passed in; those of the stream are when its samples sound.
 */
import { type Reached, reachedAt } from "../media/position.js";

/** Peak (of 32768) from which on a sound is one, for both sides. */
const LOUD = 200;
/** Peak at or below which there is nothing at all. */
const NOTHING = 16;
/** A sound begins behind at least this much silence. */
const QUIET_MS = 40;
/** A stretch whose sound has not begun by then is placed by the clock. */
const PATIENCE_MS = 400;
/** How much later than the control channel a room brings what was sent together, about. */
const BEHIND_MS = 80;
/** The control channel may be the slower one, by so much. */
const KEPT_MS = 800;
/** A jitter buffer stretches sound: the end of a stretch may come this much early. */
const SLACK_MS = 40;
/** After so much silence on end the position stands until there is sound again. */
const IDLE_MS = 400;

/** What the server has said of a stretch. */
interface Stretch {
  readonly mediaMs: number;
  /** When that was said. */
  readonly saidMs: number;
  endMs: number | undefined;
  /** When its first sound sounds; undefined = it was not heard yet. */
  atMs: number | undefined;
}

export class RoomClock {
  #onsets: number[] = [];
  #quietSinceMs: number | undefined;
  #stillSinceMs: number | undefined;
  #wanted: Stretch[] = [];
  #current: Stretch | undefined;
  /** No stretch begins before this. */
  #fromMs = Number.NEGATIVE_INFINITY;
  #floorMs = 0;

  /** True while a stretch was announced and its sound has not begun. */
  get waiting(): boolean {
    return this.#current === undefined && this.#wanted.length > 0;
  }

  /** Position of the stretch that is heard, or waited for; undefined = there is none. */
  get stretchMs(): number | undefined {
    return (this.#current ?? this.#wanted[0])?.mediaMs;
  }

  /** For how long there has been silence. */
  quietMs(nowMs: number): number {
    return this.#quietSinceMs === undefined ? 0 : Math.max(0, nowMs - this.#quietSinceMs);
  }

  /** Nothing before this position is heard any more. */
  restart(positionMs: number): void {
    this.#floorMs = Math.max(this.#floorMs, positionMs);
  }

  /** The server says that sound begins at this position. */
  begins(mediaMs: number, nowMs: number): void {
    this.#wanted.push({ mediaMs, saidMs: nowMs, endMs: undefined, atMs: undefined });
    this.#settle(nowMs);
  }

  /** The server says that nothing follows behind this position for now. */
  ends(mediaMs: number, nowMs: number): void {
    const last = this.#wanted.at(-1) ?? this.#current;
    if (!last || last.endMs !== undefined) return;
    last.endMs = mediaMs;
    if (mediaMs <= last.mediaMs && last !== this.#current) this.#wanted.pop();
    this.#settle(nowMs);
  }

  /** Samples of the stream, int16; the first of them sounds at `atMs`. */
  hear(samples: Int16Array, sampleRate: number, atMs: number, nowMs: number): void {
    const stepMs = 1000 / sampleRate;
    let peak = 0;
    for (const [index, sample] of samples.entries()) {
      const level = Math.abs(sample);
      if (level > peak) peak = level;
      const soundsMs = atMs + index * stepMs;
      if (level <= LOUD) this.#quietSinceMs ??= soundsMs;
      else {
        const quietMs = this.#quietSinceMs === undefined ? 0 : soundsMs - this.#quietSinceMs;
        if (quietMs >= QUIET_MS) this.#onsets.push(soundsMs);
        this.#quietSinceMs = undefined;
      }
    }
    if (peak > NOTHING) this.#stillSinceMs = undefined;
    else this.#stillSinceMs ??= atMs;
    this.#onsets = this.#onsets.filter((onset) => onset > nowMs - KEPT_MS);
    this.#settle(nowMs);
  }

  /** Position of the next sample to sound, and whether it moves. */
  where(nowMs: number): { readonly positionMs: number; readonly moving: boolean } {
    this.#settle(nowMs);
    const current = this.#current;
    if (current?.atMs === undefined || nowMs < current.atMs) return this.#stands();
    const stillMs = this.#stillSinceMs;
    const idle = stillMs !== undefined && nowMs - stillMs > IDLE_MS;
    const untilMs = idle ? Math.max(current.atMs, stillMs + IDLE_MS) : nowMs;
    this.#floorMs = Math.max(this.#floorMs, current.mediaMs + untilMs - current.atMs);
    return { positionMs: this.#floorMs, moving: !idle };
  }

  reached(nowMs: number): Reached {
    const { positionMs, moving } = this.where(nowMs);
    return reachedAt(positionMs, moving);
  }

  /** When the sample at a position sounds; undefined = not as far as is known. */
  timeOf(mediaMs: number): number | undefined {
    const current = this.#current;
    if (current?.atMs === undefined || mediaMs < current.mediaMs) return undefined;
    if (current.endMs !== undefined && mediaMs >= current.endMs) return undefined;
    return current.atMs + mediaMs - current.mediaMs;
  }

  #stands() {
    return { positionMs: this.#floorMs, moving: false };
  }

  /** Ends what is over, and finds the stretch that is waited for. */
  #settle(nowMs: number): void {
    for (;;) {
      const current = this.#current;
      if (current?.atMs !== undefined) {
        const overMs = (current.endMs ?? Number.POSITIVE_INFINITY) - current.mediaMs + current.atMs;
        if (nowMs < overMs) return;
        this.#floorMs = Math.max(this.#floorMs, current.endMs ?? 0);
        this.#fromMs = Math.max(this.#fromMs, overMs - SLACK_MS);
        this.#current = undefined;
      }
      const next = this.#wanted[0];
      if (!next) return;
      let atMs = this.#onsets.find((onset) => onset >= this.#fromMs);
      if (atMs === undefined && nowMs - next.saidMs >= PATIENCE_MS) {
        atMs = Math.max(this.#fromMs, next.saidMs + BEHIND_MS);
      }
      if (atMs === undefined) return;
      this.#wanted.shift();
      next.atMs = atMs;
      this.#fromMs = atMs + 0.001;
      this.#current = next;
    }
  }
}
