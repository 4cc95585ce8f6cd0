/** What browser media needs of a path beside the seam. */
import { wire } from "@voxwire/protocol";
import type { MediaPath } from "../media/media.js";
import type { Track } from "../media/player.js";

/** Rate of the user's audio, and the rate that is asked for the bot's, Hz. */
export const CAPTURE_RATE = 16_000;
export const PLAYOUT_RATE = 24_000;
/** Length of a block on the wire. */
export const BLOCK_MS = 20;

export interface BrowserPath extends MediaPath, Track {
  bufferedMs: number;
  concealedMs: number;
  /** Sounds and listens from now on; what lies before `fromMs` was heard on another path. */
  start(fromMs: number): void;
  /** Uses another track of the user, or none. */
  setTrack(track: MediaStreamTrack | undefined): void;
  /** Statistics of this path's peer connection; undefined = it has none. */
  stats(): Promise<RTCStatsReport | undefined>;
}

/** A mono format in blocks of 20 ms. */
export function audioFormat(codec: wire.Codec, sampleRate: number): wire.AudioFormat {
  const fields = { codec, sampleRate, numChannels: 1, blockMs: BLOCK_MS };
  return wire.create(wire.AudioFormatSchema, fields);
}
