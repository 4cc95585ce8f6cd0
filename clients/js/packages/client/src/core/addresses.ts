/** Where a session may be dialled: its first URL, and where its server sends it. Pure
 * (protocol/vectors/addresses). */
import { isLoopback } from "./url.js";

const MAX_URL_CHARS = 2048;
/** A WebSocket URL without credentials and fragment. */
const URL_SHAPE = /^wss?:\/\/([\w.-]+|\[[\da-f:.]+\])(:\d+)?([/?][!-"$-~]*)?$/i;
/** A client moves this long before its server leaves: time for a URL that is dead and another. */
const RESERVE_MS = 3000;

export class Addresses {
  #at: string;
  #dead = "";

  /** @param first - Where the program connected. */
  constructor(readonly first: string) {
    this.#at = first;
  }

  /** What a round dials, one after the other. */
  get order(): readonly string[] {
    return [...new Set([this.#at, this.first])];
  }

  /** The server behind `url` has welcomed us; the next resume is wanted at `resumeUrl`. */
  welcomed(url: string, resumeUrl: string): void {
    if (url === this.#dead) this.#dead = "";
    this.#at = this.#allows(resumeUrl) ? resumeUrl : url;
  }

  /** Takes a GoAway: where it says that the session goes on; empty = at the first URL. True when
   * that is another place than `here`, which is not known to be dead. */
  sentOn(resumeUrl: string, here = ""): boolean {
    const allowed = this.#allows(resumeUrl);
    this.#at = allowed ? resumeUrl : this.first;
    return allowed && resumeUrl !== here && resumeUrl !== this.#dead;
  }

  /** The session was not to be had at `url`; that is tried again, but only in need. */
  failed(url: string): void {
    if (url !== this.first) this.#dead = url;
  }

  /** Takes a refusal for good; true when the first URL may know better. */
  refused(url: string): boolean {
    this.failed(url);
    if (url === this.#at) this.#at = this.first;
    return url !== this.first;
  }

  /** Whether a server may send us there: never out of TLS, nor to this machine. */
  #allows(url: string): boolean {
    if (url.length > MAX_URL_CHARS || !URL_SHAPE.test(url)) return false;
    try {
      const { protocol, port } = new URL(url);
      const kept = protocol === "wss:" || this.first.startsWith("ws:");
      return kept && port !== "0" && (isLoopback(this.first) || !isLoopback(url));
    } catch {
      return false; // a port above 65535
    }
  }
}

/** When a client moves: at a quiet moment between these two, or at the latter; milliseconds after
 * the GoAway.
 *
 * @param jitter - From 0 to 1, so that not all clients of a server move at once. */
export function movingWindowMs(timeLeftMs: number, jitter: number): readonly [number, number] {
  const latestMs = timeLeftMs - Math.min(RESERVE_MS, Math.floor(timeLeftMs / 2));
  return [Math.floor((jitter * latestMs) / 2), latestMs];
}
