/**
 * From RTP timestamps to the media clock. Pure; timestamps are 32 bits and wrap, and are compared
 * as RFC 1982 serial numbers. Mirrors `voxwire._anchors`, for a receiver that sees no samples.
 */

const WRAP = 2 ** 32;
/** Anchors that are remembered. */
const KEPT = 64;
/** RTP ticks of a millisecond: every audio stream here is Opus (RFC 7587 §4.1). */
export const TICKS_PER_MS = 48;

interface Anchor {
  /** Unwrapped timestamp. */
  readonly ticks: number;
  readonly mediaMs: number;
  /** 0 = the media clock stands still from there on. */
  readonly clockRate: number;
}

/** The anchors of one path. */
export class AnchorMap {
  #anchors: Anchor[] = [];
  #newest = 0;
  #seen = false;

  /** Takes an anchor: from that timestamp on, the media clock counts from `mediaMs`. */
  add(rtpTimestamp: number, mediaMs: number, clockRate = 48_000): void {
    const ticks = this.unwrap(rtpTimestamp);
    this.#anchors = this.#anchors.filter((anchor) => anchor.ticks !== ticks);
    this.#anchors.push({ ticks, mediaMs, clockRate });
    this.#anchors.sort((a, b) => a.ticks - b.ticks);
    this.#anchors.splice(0, Math.max(0, this.#anchors.length - KEPT));
  }

  /** Forgets every anchor: what they say of the stream is not so any more. */
  forget(): void {
    this.#anchors = [];
  }

  /** A timestamp that counts on beyond 32 bits, from the first one that was seen. */
  unwrap(rtpTimestamp: number): number {
    if (!this.#seen) {
      this.#seen = true;
      this.#newest = rtpTimestamp;
    }
    const step = (((rtpTimestamp - this.#newest) % WRAP) + WRAP) % WRAP;
    return this.#newest + (step >= WRAP / 2 ? step - WRAP : step);
  }

  /** Notes that the stream has come to this timestamp; returns it unwrapped. */
  advance(rtpTimestamp: number): number {
    const ticks = this.unwrap(rtpTimestamp);
    this.#newest = Math.max(this.#newest, ticks);
    return ticks;
  }

  /**
   * The media clock at an unwrapped timestamp, milliseconds, and whether it moves there;
   * undefined before the first anchor. What runs on to the next anchor does not pass its position.
   */
  where(ticks: number): { readonly mediaMs: number; readonly moving: boolean } | undefined {
    const index = this.#anchors.findLastIndex((anchor) => anchor.ticks <= ticks);
    const anchor = this.#anchors[index];
    if (!anchor) return undefined;
    if (anchor.clockRate === 0) return { mediaMs: anchor.mediaMs, moving: false };
    const mediaMs = anchor.mediaMs + ((ticks - anchor.ticks) * 1000) / anchor.clockRate;
    const next = this.#anchors[index + 1];
    if (next && mediaMs >= next.mediaMs) {
      return { mediaMs: Math.max(next.mediaMs, anchor.mediaMs), moving: false };
    }
    return { mediaMs, moving: true };
  }

  /** The first timestamp from `fromTicks` on at which the media clock reaches a position. */
  ticksOf(mediaMs: number, fromTicks: number): number | undefined {
    for (const [index, anchor] of this.#anchors.entries()) {
      const next = this.#anchors[index + 1];
      if ((next && next.ticks <= fromTicks) || anchor.clockRate === 0) continue;
      const ahead = Math.max(0, ((mediaMs - anchor.mediaMs) * anchor.clockRate) / 1000);
      const ticks = Math.max(anchor.ticks + ahead, fromTicks);
      const here = next ? ticks < next.ticks && mediaMs < next.mediaMs : true;
      if (here) return ticks;
    }
    return undefined;
  }
}
