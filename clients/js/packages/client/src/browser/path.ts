/** What browser media needs of a path beside the seam. */
import * as wire from "@voxwire/protocol/wire";
import type { MediaPath } from "../media/media.js";
import type { Track } from "../media/player.js";
import { BLOCK_MS, CAPTURE_RATE } from "../media/user-audio.js";

export { BLOCK_MS, CAPTURE_RATE };

/** Rate that is asked for the bot's audio, Hz. */
export const PLAYOUT_RATE = 24_000;

export interface BrowserPath extends MediaPath, Track {
  /** What the server said when it was ready. */
  readonly readyMessage: wire.PathReady | undefined;
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
