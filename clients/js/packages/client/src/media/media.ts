/**
 * The seam between a session (`core/`) and what hears and speaks (`browser/`, `node/`).
 *
 * A `Media` belongs to one client and lives through its sessions; a `MediaPath` is one way for the
 * audio of one session. Mirrors `voxwire._path`, `_opening`, `_playback` of the Python client.
 */
import type { ClientEvents, VoxwireError, wire } from "@voxwire/protocol";
import type { Asked } from "./asked.js";
import type { Devices, Levels, Microphone } from "./devices.js";
import type { Flow } from "./quality.js";

export type CarrierName = "webrtc" | "websocket" | "daily";
export type Payload = wire.Envelope["payload"];

/** What a session gives its media. */
export interface MediaHost {
  /** Sends a message. False when it was not taken: audio and reports are not sequenced, and not
   * taken while disconnected or far behind. */
  send(payload: Payload): boolean;
  /** Raises an event that happens at this speaker: `botWord`, `stateChanged`, `flushed`. */
  emit<K extends keyof ClientEvents>(type: K, event: ClientEvents[K]): void;
  /** The server is on this machine: ICE needs no other network then. */
  readonly loopback: boolean;
  readonly signal: AbortSignal;
}

/** What a path needs whose peer is no Voxwire server. */
export interface PathWiring {
  /** Adds what the peer wants in an offer beside one line of audio, such as a data channel. */
  prepare?(connection: RTCPeerConnection): void;
  /** True = no anchors come: the time of the stream itself is the media clock. */
  readonly unanchored?: boolean;
}

export interface PathOptions extends PathWiring {
  readonly pathId: number;
  readonly iceServers: readonly RTCIceServer[];
  readonly icePolicy: RTCIceTransportPolicy;
}

/** What a new path brings of the user's audio of before, and what nothing brings any more. */
export interface Resent {
  readonly resentMs: number;
  readonly lostMs: number;
}

/** One way for audio. Opened, used and closed by one session. */
export interface MediaPath {
  readonly carrier: CarrierName;
  readonly pathId: number;
  /** What is known to be wrong with a path that is not ready. */
  readonly trouble: VoxwireError | undefined;
  /** The message that asks for this path (a WebRTC offer goes out before anything is gathered). */
  offer(signal: AbortSignal): Promise<wire.PathOpen>;
  /** Takes what the server says about this path: answer, candidates, ready, close, anchors, audio;
   * and, before it is ready, the ICE servers when Welcome names them (`iceServersUpdate`). */
  receive(payload: Payload): void;
  /** Resolves when audio can flow both ways; rejects when the path cannot be had. */
  readonly ready: Promise<void>;
  /** Resolves, with the reason, when a path that was ready is lost (ICE, or the server's close). */
  readonly lost: Promise<VoxwireError>;
  /** The control channel was lost, and what it carried: what else brings nothing now is likely to
   * be lost, too. */
  doubt(): void;
  /** Carries nothing any more and tells nobody, as a broken network would. */
  drop(): void;
  /** Gives the path up; bounded, may be called again. */
  close(): void;
}

/** What `diagnose()` tries with a media side; nothing of it stays. */
export interface MediaChecks {
  /** Resolves with what was found in a few words; rejects with what is wrong. */
  microphone(): Promise<string>;
  /** Asks STUN and TURN servers, each by its own protocol; 4.5 s at most. */
  ask(iceServers: readonly RTCIceServer[]): Promise<readonly Asked[]>;
  /** Makes a WebRTC path that is silent and plays nothing; nothing is sent yet. */
  path(options: PathOptions, send: (payload: Payload) => void): TrialPath;
}

/** A WebRTC path of a diagnosis. */
export interface TrialPath {
  /** Resolves when packets can flow both ways; rejects with what is wrong. */
  readonly ready: Promise<void>;
  /** What a TURN server said, when that was an error. */
  readonly trouble: VoxwireError | undefined;
  offer(): Promise<wire.PathOpen>;
  receive(payload: Payload): void;
  look(): Promise<TrialLook>;
  close(): void;
}

/** One look at a path; counters are totals. */
export interface TrialLook {
  readonly relayed: boolean;
  readonly rttMs: number | undefined;
  readonly jitterMs: number | undefined;
  readonly received: number;
  readonly lost: number;
  /** Share of our packets that were lost, by the server's reports; undefined = none came. */
  readonly lostUp: number | undefined;
}

export interface Media {
  /** Carriers that this media has, best first. */
  readonly carriers: readonly CarrierName[];
  readonly devices: Devices;
  readonly microphone: Microphone;
  readonly output: AudioNode | undefined;
  readonly input: AudioNode | undefined;
  /** Where the speaker is on the media clock, milliseconds; only grows within a session. */
  readonly positionMs: number;
  /** A session begins: gets microphone and output ready; rejects with a MediaError. */
  start(host: MediaHost): Promise<void>;
  /** Makes a path; nothing is sent yet. */
  path(carrier: CarrierName, options: PathOptions): MediaPath;
  /** Plays this path from now on, from where the one before stopped, which is closed; sends what
   * was kept of the user. */
  use(path: MediaPath): Resent;
  /** Takes what the server says about utterances, words, states and silence, in order. */
  receive(payload: Payload): void;
  /** Forgets what was announced: the snapshot takes its place. Words that were fired, and words
   * before its position that were not known, do not fire again. */
  reset(snapshot?: wire.Snapshot): void;
  levels(): Levels;
  quality(): Promise<Flow>;
  setVolume(volume: number): void;
  resumeAudio(): Promise<void>;
  /** What `diagnose()` tries with this media; absent = nothing. Loaded when somebody asks. */
  checks?(): Promise<MediaChecks>;
  /** `playbackBlocked` of the client. */
  onPlaybackBlocked: ((blocked: boolean) => void) | undefined;
  /** The session is over: every track, node, connection and timer of it is released. */
  stop(): Promise<void>;
}
