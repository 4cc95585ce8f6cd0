/**
 * What a program sees of a client. Types only; `create-client.ts` makes one.
 *
 * The same events, errors and units as the Python client: `_ms` there is `Ms` here.
 */
import type { ClientEvents, JsonValue, VoxwireError, Waiting, wire } from "@voxwire/protocol";
import type { PartialEnvironment } from "./core/environment.js";
import type { Feature, Peer } from "./core/peer.js";
import type { Tool } from "./core/tool-shape.js";
import type {
  DeviceFailure,
  DeviceInfo,
  Devices,
  DevicesState,
  DeviceTrouble,
  Levels,
  Microphone,
  Quality,
  Readable,
} from "./media/devices.js";
import type { Media } from "./media/media.js";

export type { Feature, Peer } from "./core/peer.js";
export type * from "./core/tool-shape.js";
export type * from "./media/devices.js";

/** What a client is doing. Steps: protocol/spec/session.md, "Opening", "Resuming", "Ending". */
export type ClientStatus =
  | { readonly status: "idle" }
  | {
      readonly status: "connecting";
      readonly stage: string;
      /** Where it is in the queue of a server that has no place (stage "place"). */
      readonly waiting?: Waiting;
    }
  | { readonly status: "ready"; readonly sessionId: string; readonly bot: string }
  // no control channel, or no media path; what is sent meanwhile arrives when it is back
  | { readonly status: "reconnecting"; readonly attempt: number; readonly cause: VoxwireError }
  | { readonly status: "closing" }
  | { readonly status: "closed"; readonly reason: CloseReason; readonly error?: VoxwireError };

/** Who ended the session, or that it failed. */
export type CloseReason = "client" | "bot" | "server" | "expired" | "idle" | "error";

/** `auto`: WebRTC or WebSocket. `daily`: a Daily room, with `dailyMedia()` of
 * `@voxwire/client/daily`. */
export type TransportChoice = "auto" | "webrtc" | "websocket" | "daily";

export interface TokenRequest {
  /** Why a token is wanted: for the first connect, or because the last one was refused. */
  readonly reason: "connect" | "refused";
  readonly signal: AbortSignal;
}

export interface Logger {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

export interface ClientOptions {
  /** The server: `wss://…`, `https://…`, or where it is mounted on the page's own origin: "/",
   * "/voice". */
  url: string | URL;
  /** A session token; never put into a URL or a log. */
  token?: string | undefined;
  /** Asked for a token at each connect that needs one. */
  tokenSource?: ((request: TokenRequest) => string | Promise<string>) | undefined;
  /** Name of the bot; may be left out where the server has one only. */
  bot?: string | undefined;
  metadata?: JsonValue | undefined;
  transport?: TransportChoice | undefined;
  /** What is there, when it is no Voxwire server: `pipecatBot()` of `@voxwire/client/rtvi`. */
  peer?: Peer | undefined;
  iceServers?: readonly RTCIceServer[] | undefined;
  icePolicy?: RTCIceTransportPolicy | undefined;
  /** Microphone, speaker and processing; `false` = text only. In Node: `wavMedia(…)`. */
  media?: MediaOptions | MediaFactory | false | undefined;
  tools?: readonly Tool[] | undefined;
  logger?: Logger | undefined;
  /** False = a lost connection ends the session. */
  resume?: boolean | undefined;
  /** Longest time without a connection; the server's grace when absent, milliseconds. */
  resumeTimeoutMs?: number | undefined;
  /** Clock, timers and WebSocket in place of the program's own; for tests, and for Node < 22. */
  environment?: PartialEnvironment | undefined;
}

export interface MediaOptions {
  /** Starts with the microphone on; default true. */
  microphone?: boolean | undefined;
  /** Browser processing, each default true. */
  echoCancellation?: boolean | undefined;
  noiseSuppression?: boolean | undefined;
  autoGainControl?: boolean | undefined;
  /** Volume of the bot, 0 … 1; default 1. */
  volume?: number | undefined;
  /** Where the worklets are served from (a folder); default: beside the package's own files. */
  workletUrl?: string | URL | undefined;
  /** Muted, the track is kept: unmuting is instant and asks nobody, but the browser goes on showing
   * that the microphone is in use. Default false: off means no capture. */
  keepMicrophoneOnMute?: boolean | undefined;
  /** Remembers the chosen devices in `localStorage`; default true. */
  rememberDevices?: boolean | undefined;
}

/** Makes the media of a client; the seam behind `media` (`media/media.ts`). */
export type MediaFactory = (options: { readonly logger: Logger }) => Media;

export interface ConnectOptions {
  signal?: AbortSignal | undefined;
  /** Longest time until `ready`, milliseconds; default 15 000. */
  timeoutMs?: number | undefined;
  /** Longest wait for a place where the server has none and lets clients wait, beyond `timeoutMs`,
   * milliseconds; 0 = it is refused at once. Default 120 000. */
  waitingMs?: number | undefined;
}

export interface SendTextOptions {
  /** True = the bot answers aloud; default true. */
  speak?: boolean | undefined;
  /** True = what the bot is saying is cut first; default false. */
  interrupt?: boolean | undefined;
  /** False = added to the conversation, as a turn of its own, without asking for an answer;
   * default true. */
  run?: boolean | undefined;
}

/** What the bot takes of files. */
export interface FileAcceptance {
  /** Media types, such as "application/pdf"; "image/*" stands for all of a kind. */
  readonly types: readonly string[];
  readonly maxBytes: number;
}

export interface SendFileOptions {
  /** What the user writes beside it. */
  text?: string | undefined;
  /** True = the bot answers aloud; default true. */
  speak?: boolean | undefined;
  /** False = added to the conversation without asking for an answer; default true. */
  run?: boolean | undefined;
  /** Aborted, the file is given up. */
  signal?: AbortSignal | undefined;
  /** Told how much the server has, and of how much, bytes. */
  onProgress?: ((takenBytes: number, bytes: number) => void) | undefined;
}

export interface CallOptions {
  signal?: AbortSignal | undefined;
  /** Longest wait for the answer, milliseconds; default 10 000. */
  timeoutMs?: number | undefined;
}

/** Handlers by event type: the server's events, and this client's own. Loudness is no event: read
 * `levels()` as often as it is drawn. */
export interface ClientEventMap extends ClientEvents {
  /** What the client is doing has changed. */
  status: ClientStatus;
  /** The browser keeps the page silent until the user acts: call `resumeAudio()` then. */
  playbackBlocked: { readonly blocked: boolean };
  /** Devices came, went, were granted or refused. */
  devices: DevicesState;
  /** Another microphone is in use, it cannot be had (`reason`), it was lost, or the trouble with it
   * began or ended. */
  microphoneChanged: {
    readonly device: DeviceInfo | undefined;
    readonly trouble: DeviceTrouble | undefined;
    readonly reason: DeviceFailure | undefined;
  };
  /** Once a second while a session is up. */
  quality: Quality;
  /** A message that this client does not understand, or that is broken; counted and ignored. */
  ignored: { readonly reason: string; readonly count: number };
}

export type EventType = keyof ClientEventMap;
/** Any event: its type and what it carries. */
export type AnyEvent = {
  [K in EventType]: { readonly type: K; readonly event: ClientEventMap[K] };
}[EventType];

/** One word of the bot in the log. */
export interface LoggedWord {
  readonly index: number;
  readonly text: string;
  readonly startMs: number;
  readonly endMs: number;
  /** unheard: not reached yet; heard: this speaker reached it; cut: it was never heard. */
  readonly state: "unheard" | "heard" | "cut";
}

export interface LoggedUtterance {
  readonly id: string;
  readonly words: readonly LoggedWord[];
  /** The text as the bot wrote it; words are pieces of it. */
  readonly text: string;
  readonly end: "speaking" | "completed" | "interrupted" | "unheard";
}

export interface LoggedToolCall {
  readonly id: string;
  readonly name: string;
  /** undefined unless the server shows them. */
  readonly args?: JsonValue;
  readonly status: "running" | "done" | "failed" | "cancelled" | "timed_out" | "lost";
  readonly result?: JsonValue;
  readonly durationMs?: number;
  /** True when this client runs it. */
  readonly own: boolean;
  readonly progress?: string;
}

/** What one side said until the other had the floor. */
export type LoggedTurn =
  | {
      readonly id: string;
      readonly role: "user";
      readonly text: string;
      readonly final: boolean;
      readonly typed: boolean;
    }
  | {
      readonly id: string;
      readonly role: "bot";
      readonly utterances: readonly LoggedUtterance[];
      readonly toolCalls: readonly LoggedToolCall[];
      readonly interrupted: boolean;
      /** Text of a turn that was taken from a snapshot: heard, and never heard. */
      readonly heardText?: string;
      readonly unheardText?: string;
    };

/** The turn log as the server tells it. */
export interface Conversation {
  readonly turns: readonly LoggedTurn[];
  /** Number of times that events were lost and a snapshot took their place. */
  readonly skipped: number;
}

export type BotActivity = "starting" | "idle" | "listening" | "thinking" | "speaking";
export interface Activity {
  readonly bot: BotActivity;
  readonly userSpeaking: boolean;
  /** The bot does not listen to the user now, by its own rules: show it. The client's own
   * microphone has no part in it. */
  readonly userMuted: boolean;
}

/** What was tried, in the order in which it is told. One cause is one failed check. */
export interface Diagnosis {
  /** Nothing failed. */
  readonly ok: boolean;
  readonly checks: readonly {
    /** As `voxwire doctor` names them; `secure_origin` is of pages alone. */
    readonly name:
      | ("secure_origin" | "name" | "tls" | "server" | "clock" | "token" | "capacity" | "rtt")
      | ("webrtc" | "stun" | "turn_udp" | "turn_tcp" | "turn_tls" | "udp" | "echo" | "session")
      | ("microphone" | "speaker");
    /** `warning` = a conversation suffers from it, or does without it; `skipped` = not tried, or
     * what came of it has its cause in the check that `needs` names. */
    readonly state: "ok" | "warning" | "failed" | "skipped";
    /** What was found, or why it was skipped. */
    readonly detail: string;
    /** What to do, when it is neither ok nor skipped. */
    readonly advice: string;
    readonly code?: string;
    readonly needs?: Diagnosis["checks"][number]["name"];
    readonly durationMs: number;
  }[];
}

/** A client: one conversation at a time with one server. */
export interface Client {
  readonly status: Readable<ClientStatus>;
  readonly activity: Readable<Activity>;
  readonly conversation: Readable<Conversation>;
  /** What the bot takes of files; undefined = none, or there is no session. */
  readonly accepts: Readable<FileAcceptance | undefined>;
  readonly devices: Devices;
  readonly microphone: Microphone;
  readonly quality: Readable<Quality | undefined>;
  /** What the other end can do; empty without a session. */
  readonly features: Readable<ReadonlySet<Feature>>;
  /** Where this client's speaker is on the media clock, milliseconds. */
  readonly positionMs: number;
  /** What the bot's voice goes through last, for visualizers and tests; undefined in Node. */
  readonly output: AudioNode | undefined;
  /** What the microphone gives; undefined while it is off. */
  readonly input: AudioNode | undefined;

  connect(options?: ConnectOptions): Promise<void>;
  /** Ends the session; when it resolves nothing of it is left. Never rejects. Idempotent. */
  disconnect(reason?: string): Promise<void>;

  on<K extends EventType>(type: K, listener: (event: ClientEventMap[K]) => void): () => void;
  once<K extends EventType>(type: K, options?: CallOptions): Promise<ClientEventMap[K]>;
  events(options?: { signal?: AbortSignal | undefined }): AsyncIterable<AnyEvent>;
  /** Sees every envelope, both ways, decoded; for logs and tests. */
  tap(listener: (direction: "in" | "out", envelope: wire.Envelope) => void): () => void;

  sendText(text: string, options?: SendTextOptions): Promise<void>;
  /** Sends a file to the bot, at the pace that the server sets; resolves when the bot has it. It
   * outlives a lost connection. Rejects with "unsupported", "too_large", "invalid_argument" when
   * the bot does not take it, "capacity" or "rate_limited" when there is too much at once. */
  sendFile(
    name: string,
    type: string,
    data: Blob | ArrayBuffer | Uint8Array,
    options?: SendFileOptions,
  ): Promise<void>;
  interrupt(): Promise<void>;
  /** Says that the user is there although nobody speaks or types: reads, scrolls, clicks. The
   * server's idle time begins anew. Call it as often as something happens: at most one a second is
   * sent, and none where the other end takes none (feature "user_activity"). */
  userActivity(): Promise<void>;
  /** Asks the bot's program for something; rejects with its error or on timeout. */
  call(method: string, payload?: JsonValue, options?: CallOptions): Promise<JsonValue>;
  /** Answers what the bot's program asks of this one. */
  handle(method: string, fn: (payload: JsonValue) => JsonValue | Promise<JsonValue>): () => void;
  sendMessage(type: string, data?: JsonValue): Promise<void>;
  sendDtmf(digits: string): Promise<void>;
  /** Adds a tool before `connect()`; returns the function that takes it away again. */
  tool(tool: Tool): () => void;

  setVolume(volume: number): void;
  /** Call from a user's act after `playbackBlocked`. */
  resumeAudio(): Promise<void>;
  levels(): Levels;
  /** Trouble on demand, for tests. */
  readonly simulate: Simulate;
  diagnose(options?: CallOptions): Promise<Diagnosis>;
  /** Everything that a bug report needs, without content and secrets. */
  report(): JsonValue;
}

export interface Simulate {
  /** Cuts the control socket as a broken network does. */
  dropControl(): void;
  /** Cuts the media path. */
  dropMedia(): void;
  /** Nothing goes in or out until the returned function is called. */
  freeze(): () => void;
  /** Every message takes this much longer, both ways, milliseconds; 0 ends it. */
  slow(delayMs: number): void;
}
