/** What the page and its worklets say to each other. */
import type { PlayoutFacts } from "../media/playout-renderer.js";

export const PLAYOUT_PROCESSOR = "voxwire-playout";
export const CAPTURE_PROCESSOR = "voxwire-capture";

export interface PlayoutOptions {
  /** Of the stream, Hz. */
  readonly sampleRate: number;
  /** Delay that the buffer starts with, milliseconds. */
  readonly targetMs: number;
}

/** Positions are sample indexes at the stream's rate. */
export type ToPlayout =
  | { readonly type: "push"; readonly position: number; readonly samples: Int16Array }
  | { readonly type: "flush"; readonly id: number; readonly until: number }
  | { readonly type: "stop" };

export type FromPlayout =
  | { readonly type: "facts"; readonly facts: PlayoutFacts }
  | { readonly type: "flushed"; readonly id: number; readonly position: number };

export interface CaptureOptions {
  /** Of the blocks, Hz, and their length in samples. */
  readonly sampleRate: number;
  readonly blockSamples: number;
}

/** A block of audio: int16 mono; its last sample was rendered about at this frame of the context. */
export type FromCapture = {
  readonly type: "block";
  readonly samples: Int16Array;
  readonly frame: number;
};
export type ToCapture = { readonly type: "stop" };
