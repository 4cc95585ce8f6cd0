/** The user's audio of one session: numbered, kept for 3 s, sent by whichever path takes chunks. */
import { KeptCapture } from "@voxwire/protocol";
import * as wire from "@voxwire/protocol/wire";
import type { Environment } from "../core/environment.js";
import type { MediaHost, Resent } from "./media.js";

/** Rate of the user's audio, Hz, and the length of a block. */
export const CAPTURE_RATE = 16_000;
export const BLOCK_MS = 20;
const BLOCK_SAMPLES = (CAPTURE_RATE * BLOCK_MS) / 1000;
/** After a stall at most this much of a microphone that waits is read at once. */
const MAX_BURST_MS = 200;

export const NOTHING_RESENT: Resent = { resentMs: 0, lostMs: 0 };

/** The clock and timers of a program, or virtual ones. */
export type Clock = Pick<Environment, "now" | "after"> & Partial<Pick<Environment, "load">>;

const toMs = (samples: number) => Math.floor((samples * 1000) / CAPTURE_RATE);

export class UserAudio {
  readonly #kept = new KeptCapture({ sampleRate: CAPTURE_RATE });
  /** The path that takes chunks. */
  #pathId: number | undefined;
  /** Where the path's own audio takes over from chunks; undefined = it has none. */
  #until: number | undefined;

  constructor(
    private readonly send: MediaHost["send"],
    private readonly now: () => number,
  ) {}

  /** The user's audio that became too old to be sent, milliseconds of the whole session. */
  get lostMs(): number {
    return toMs(this.#kept.lostSamples);
  }

  /** Takes what the microphone gave; undefined = the user is not heard for `count` samples. */
  capture(samples: Int16Array | undefined, count: number): void {
    if (samples) this.#kept.capture(samples, this.now());
    else this.#kept.mute(count);
    this.#pump();
  }

  /** The user is not heard from now on: what waits is not sent any more. */
  mute(): void {
    this.#kept.mute();
  }

  /** A path takes audio: what of the past is sent first, and what is gone.
   *
   * @param ownAudio - The path brings the user itself from now on (WebRTC): only what was captured
   *   before goes out in chunks. */
  resume({ pathId, capture }: wire.PathReady, ownAudio = false): Resent {
    const now = this.now();
    let lost = 0;
    if (capture.case === "captureIndex") lost = this.#kept.resume(Number(capture.value), now);
    else if (capture.case === "captureAgeMs") lost = this.#kept.resumeAfter(capture.value, now);
    else this.#kept.follow();
    const resentMs = toMs(this.#kept.waitingSamples);
    this.#pathId = pathId;
    this.#until = ownAudio ? this.#kept.nextIndex : undefined;
    if (ownAudio && capture.case === undefined) this.park(pathId);
    this.#pump();
    return { resentMs, lostMs: toMs(lost) };
  }

  /** A path takes nothing any more. */
  park(pathId: number): void {
    if (this.#pathId !== pathId) return;
    this.#pathId = undefined;
    this.#kept.park();
  }

  #pump(): void {
    const pathId = this.#pathId;
    if (pathId === undefined) return;
    for (;;) {
      const piece = this.#kept.peek(this.now());
      if (this.#until !== undefined && (piece?.index ?? this.#kept.nextIndex) >= this.#until) {
        const end = wire.create(wire.AudioChunkSchema, { pathId, liveFollows: true });
        if (this.send({ case: "audio", value: end })) this.park(pathId);
        return;
      }
      if (!piece) return;
      const value = { pathId, sampleIndex: BigInt(piece.index), data: bytesOf(piece.samples) };
      const chunk = wire.create(wire.AudioChunkSchema, value);
      if (!this.send({ case: "audio", value: chunk })) return;
      this.#kept.sent(piece);
    }
  }
}

/** Reads a microphone that waits, such as a file, in real time. */
export class Reader {
  #cancel: (() => void) | undefined;

  constructor(
    private readonly read: (count: number) => Int16Array | undefined,
    private readonly take: (samples: Int16Array | undefined, count: number) => void,
    private readonly clock: Clock,
  ) {}

  start(): void {
    if (!this.#cancel) this.#tick(this.clock.now());
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #tick(dueMs: number): void {
    const now = this.clock.now();
    const nextMs = Math.max(dueMs, now - MAX_BURST_MS) + BLOCK_MS;
    this.#cancel = this.clock.after(Math.max(0, nextMs - now), () => this.#tick(nextMs));
    this.take(this.read(BLOCK_SAMPLES), BLOCK_SAMPLES);
  }
}

/** int16 little-endian, whatever the machine's order. */
function bytesOf(samples: Int16Array): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(samples.length * 2);
  const view = new DataView(data.buffer);
  for (const [at, sample] of samples.entries()) view.setInt16(at * 2, sample, true);
  return data;
}
