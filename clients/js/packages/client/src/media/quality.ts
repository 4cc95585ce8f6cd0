/** How well the audio flows, from a peer connection's statistics (W3C webrtc-stats). Pure. */
import type { Quality } from "./devices.js";

/** One look at the statistics; counters are totals since the path opened. */
export interface StatsLook {
  readonly rttMs: number | undefined;
  readonly jitterMs: number | undefined;
  readonly packetsReceived: number;
  readonly packetsLost: number;
  /** Total time that emitted samples have waited in the jitter buffer, seconds. */
  readonly jitterBufferDelayS: number;
  readonly jitterBufferEmitted: number;
  readonly concealedMs: number;
}

export type Measured = Omit<Quality, "transport" | "grade">;

/** What a media side knows; the client grades it, since it may know the round trip. */
export interface Flow extends Measured {
  readonly transport: Quality["transport"];
  /** No path carries audio. */
  readonly lost: boolean;
}

/** A client that plays nothing knows nothing. */
export const UNKNOWN: Measured = {
  rttMs: undefined,
  jitterMs: undefined,
  loss: undefined,
  bufferedMs: 0,
  concealedMs: 0,
};

/** Numbers of an entry of the statistics. */
type Entry = Readonly<Record<string, unknown>>;

const number = (value: unknown): number => (typeof value === "number" ? value : 0);

/** Reads what counts out of the entries of a report. */
export function readStats(entries: Iterable<Entry>): StatsLook | undefined {
  let inbound: Entry | undefined;
  let pair: Entry | undefined;
  for (const entry of entries) {
    if (entry.type === "inbound-rtp" && entry.kind === "audio") inbound = entry;
    const used = entry.type === "candidate-pair" && entry.state === "succeeded";
    if (used && (entry.nominated || !pair)) pair = entry;
  }
  if (!inbound) return undefined;
  const rtt = pair?.currentRoundTripTime;
  const jitter = inbound.jitter;
  const concealed = number(inbound.concealedSamples) - number(inbound.silentConcealedSamples);
  return {
    rttMs: typeof rtt === "number" ? rtt * 1000 : undefined,
    jitterMs: typeof jitter === "number" ? jitter * 1000 : undefined,
    packetsReceived: number(inbound.packetsReceived),
    packetsLost: number(inbound.packetsLost),
    jitterBufferDelayS: number(inbound.jitterBufferDelay),
    jitterBufferEmitted: number(inbound.jitterBufferEmittedCount),
    concealedMs: Math.max(0, concealed / 48),
  };
}

/** The share of packets that were lost between two looks; undefined when none was to come. */
export function lossBetween(
  [receivedBefore, lostBefore]: readonly [number, number],
  [receivedNow, lostNow]: readonly [number, number],
): number | undefined {
  const received = receivedNow - receivedBefore;
  const lost = Math.max(0, lostNow - lostBefore);
  return received + lost > 0 ? lost / (received + lost) : undefined;
}

/** What happened between two looks. */
export function measure(now: StatsLook, before: StatsLook | undefined): Measured {
  const emitted = now.jitterBufferEmitted - (before?.jitterBufferEmitted ?? 0);
  const waitedS = now.jitterBufferDelayS - (before?.jitterBufferDelayS ?? 0);
  return {
    rttMs: now.rttMs,
    jitterMs: now.jitterMs,
    loss: lossBetween(
      [before?.packetsReceived ?? 0, before?.packetsLost ?? 0],
      [now.packetsReceived, now.packetsLost],
    ),
    bufferedMs: emitted > 0 ? Math.round((waitedS / emitted) * 1000) : 0,
    concealedMs: Math.round(now.concealedMs),
  };
}

/** A word for it: what a user would say of a telephone line. */
export function gradeOf(measured: Omit<Measured, "concealedMs">, lost: boolean): Quality["grade"] {
  const { rttMs = 0, jitterMs = 0, loss = 0, bufferedMs } = measured;
  if (lost) return "lost";
  if (loss > 0.08 || rttMs > 400 || jitterMs > 60 || bufferedMs > 400) return "poor";
  if (loss > 0.02 || rttMs > 200 || jitterMs > 30 || bufferedMs > 200) return "good";
  return "excellent";
}
