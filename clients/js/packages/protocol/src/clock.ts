/**
 * The peer's clock: offset and round trip from four timestamps (RFC 5905 §8).
 *
 * Times are microseconds of each side's own monotonic clock; nothing here reads one. Fractions are
 * cut off.
 */
import { create, type Ping, PingSchema, type Pong, PongSchema } from "./messages.js";

const BURST_PINGS = 5;
const BURST_INTERVAL_MS = 200;
const INTERVAL_MS = 10_000;
const WINDOW = 8;

/** One exchange. */
export interface Sample {
  /** Peer's clock minus ours, microseconds. */
  readonly offsetUs: number;
  /** Round trip without the peer's own delay, microseconds. */
  readonly rttUs: number;
}

/** Estimates the peer's clock from pings that this side sends. */
export class ClockSync {
  #number = 0;
  #lastPingMs: number | undefined;
  /** Ping number to its time, oldest first. */
  readonly #open = new Map<number, number>();
  #samples: Sample[] = [];

  /** Peer's clock minus ours, microseconds, from the fastest of the last 8 exchanges. */
  get offsetUs(): number | undefined {
    return this.#best()?.offsetUs;
  }

  /** Shortest round trip of the last 8 exchanges, microseconds. */
  get rttUs(): number | undefined {
    return this.#best()?.rttUs;
  }

  /** Returns the next ping, to be sent at `nowUs`, which is now. */
  ping(nowUs: number): Ping {
    const t0Us = Math.floor(nowUs);
    this.#number += 1;
    this.#lastPingMs = Math.floor(t0Us / 1000);
    this.#open.set(this.#number, t0Us);
    this.#open.delete(this.#number - WINDOW);
    return create(PingSchema, { number: this.#number, t0Us: BigInt(t0Us) });
  }

  /** Returns the answer to a ping of the peer that arrived at `receivedUs`. */
  static pong(ping: Ping, receivedUs: number, nowUs: number): Pong {
    return create(PongSchema, {
      number: ping.number,
      t0Us: ping.t0Us,
      t1Us: BigInt(Math.floor(receivedUs)),
      t2Us: BigInt(Math.floor(nowUs)),
    });
  }

  /**
   * Takes the answer to one of our last 8 pings, which arrived at `nowUs`.
   *
   * @returns What it measured; undefined when it answers no open ping or cannot be true.
   */
  receive(pong: Pong, nowUs: number): Sample | undefined {
    const t0Us = this.#open.get(pong.number);
    if (t0Us === undefined || BigInt(t0Us) !== pong.t0Us) return undefined;
    this.#open.delete(pong.number);
    const t1Us = Number(pong.t1Us);
    const t2Us = Number(pong.t2Us);
    const t3Us = Math.floor(nowUs);
    const rttUs = t3Us - t0Us - (t2Us - t1Us);
    if (t2Us < t1Us || rttUs < 0) return undefined;
    const sample = { offsetUs: Math.floor((t1Us - t0Us + (t2Us - t3Us)) / 2), rttUs };
    this.#samples = [...this.#samples, sample].slice(-WINDOW);
    return sample;
  }

  /**
   * When the next ping is due, milliseconds on the clock of `ping`: five in the first second, then
   * one every 10 s. Not after `nowMs` when it is due.
   */
  nextPingMs(nowMs: number): number {
    if (this.#lastPingMs === undefined) return nowMs;
    const burst = this.#number < BURST_PINGS;
    return this.#lastPingMs + (burst ? BURST_INTERVAL_MS : INTERVAL_MS);
  }

  #best(): Sample | undefined {
    const [first, ...others] = this.#samples;
    if (first === undefined) return undefined;
    return others.reduce((best, one) => (one.rttUs < best.rttUs ? one : best), first);
  }
}
