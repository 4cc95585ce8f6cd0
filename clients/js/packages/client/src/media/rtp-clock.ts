/**
 * From the time of a page to the RTP timestamp that leaves the jitter buffer then, from what
 * `RTCRtpReceiver.getSynchronizationSources` says now and then. Pure.
 *
 * Sightings are whole milliseconds, and packets leave with the audio thread's bursts of 10 ms. The
 * mean of five is within 7 ms of the tap in 95 of 100 cases (Chromium 156, test/browser/README.md);
 * more of them would lag behind a jitter buffer that stretches time.
 */
import { TICKS_PER_MS } from "./anchors.js";

/** Sightings that are looked at; with one each 20 ms, the last 100 ms. */
const WINDOW = 5;
/** How far the clock runs on beyond the newest packet. */
const RUN_ON_MS = 60;
/** A step of the stream against the clock that is no jitter. */
const JUMP_MS = 500;

interface Sighting {
  readonly atMs: number;
  readonly ticks: number;
}

export class RtpClock {
  #sightings: Sighting[] = [];
  #baseMs = 0;

  /** Takes a sighting: at `atMs`, the packet with this (unwrapped) timestamp was playing. */
  note(ticks: number, atMs: number): void {
    const last = this.#sightings.at(-1);
    if (last && ticks <= last.ticks) return;
    if (last && Math.abs(this.#lag(last) - this.#lag({ ticks, atMs })) > JUMP_MS) {
      this.#sightings = [];
    }
    this.#sightings.push({ ticks, atMs });
    if (this.#sightings.length > WINDOW) this.#sightings.shift();
    const sum = this.#sightings.reduce((total, sighting) => total + this.#lag(sighting), 0);
    this.#baseMs = sum / this.#sightings.length;
  }

  /** True once there was a sighting. */
  get known(): boolean {
    return this.#sightings.length > 0;
  }

  /** The timestamp that plays at a time, and whether it moves. */
  at(nowMs: number): { readonly ticks: number; readonly moving: boolean } {
    const newest = this.#sightings.at(-1);
    if (!newest) return { ticks: 0, moving: false };
    const ticks = (nowMs - this.#baseMs) * TICKS_PER_MS;
    const limit = newest.ticks + RUN_ON_MS * TICKS_PER_MS;
    return { ticks: Math.min(ticks, limit), moving: ticks < limit };
  }

  /** When a timestamp plays. */
  timeOf(ticks: number): number {
    return this.#baseMs + ticks / TICKS_PER_MS;
  }

  #lag({ ticks, atMs }: Sighting): number {
    return atMs - ticks / TICKS_PER_MS;
  }
}
