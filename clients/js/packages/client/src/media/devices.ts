/** Devices, levels and quality, as a program sees them. Types only; `api.ts` has them, too. */
import type { VoxwireError } from "@voxwire/protocol";

/** Something that changes, to read now or to follow; snapshots are immutable and keep their
 * identity until they change, so that React's `useSyncExternalStore` takes them as they are. */
export interface Readable<T> {
  get(): T;
  /** Calls `listener` after every change; returns the function that ends it. */
  subscribe(listener: () => void): () => void;
}

export type DeviceKind = "microphone" | "camera" | "speaker" | "screen";
export interface DeviceState {
  readonly state: "uninitialized" | "initializing" | "granted" | "error";
  /** Why it is not there. */
  readonly reason?: DeviceFailure;
  readonly error?: VoxwireError;
  /** It is in use now. */
  readonly enabled: boolean;
  /** Of the microphone: it is in use, or will be when a session starts. */
  readonly wanted?: boolean;
  /** What is wrong with a microphone that is in use. */
  readonly trouble?: DeviceTrouble;
  readonly selected?: DeviceInfo;
  readonly available: readonly DeviceInfo[];
}
/** fallback: the chosen one cannot be had, this is another; muted: the system or the device itself
 * keeps it silent; silent: it gives nothing but zeros, which no room does. */
export type DeviceTrouble = "fallback" | "muted" | "silent";
/** denied: by the user or the browser; policy: by the page that this one is framed in, or by its own
 * Permissions-Policy. */
export type DeviceFailure =
  | "denied"
  | "policy"
  | "missing"
  | "busy"
  | "insecure_origin"
  | "unsupported"
  | "lost"
  | "other";
export interface DeviceInfo {
  readonly id: string;
  readonly label: string;
}
export type DevicesState = Readonly<Record<DeviceKind, DeviceState>>;

/** Devices of this client. */
export interface Devices extends Readable<DevicesState> {
  /** Asks again what there is; without permission, labels are empty. */
  refresh(): Promise<DevicesState>;
  /** Uses another device; rejects with a MediaError when it cannot be had. */
  select(kind: "microphone" | "speaker" | "camera", deviceId: string): Promise<void>;
}

export interface Microphone {
  /** What is wanted, for the next session when there is none; `devices` says whether it is had. */
  readonly enabled: boolean;
  /** Off means no capture: the track ends and the browser's sign goes out. */
  setEnabled(enabled: boolean): Promise<void>;
  /** Push-to-talk: on while the returned function was not called. */
  hold(): () => void;
}

export interface Quality {
  readonly transport: "webrtc" | "websocket" | "daily" | "none";
  /** excellent, good, poor, lost. */
  readonly grade: "excellent" | "good" | "poor" | "lost";
  readonly rttMs: number | undefined;
  readonly jitterMs: number | undefined;
  /** Share of the bot's packets lost in the last second, 0 … 1. */
  readonly loss: number | undefined;
  /** Playout delay in this client, milliseconds. */
  readonly bufferedMs: number;
  readonly concealedMs: number;
}

export interface Levels {
  /** 0 … 1, of the last 50 ms. */
  readonly microphone: number;
  readonly bot: number;
}
