/** A stock bot over its WebSocket: messages and audio, each a `Frame`. */
import { makeError, VoxwireError } from "@voxwire/protocol";
import {
  audioFrame,
  type BotFrame,
  MAX_FRAME_BYTES,
  messageFrame,
  type RtviMessage,
  readFrame,
} from "@voxwire/protocol/rtvi";
import * as wire from "@voxwire/protocol/wire";
import { asError } from "../core/attach.js";
import type { Feature, Passage } from "../core/peer.js";
import type { Scope } from "../core/scope.js";
import { type Received, Socket } from "../core/socket.js";
import type { Payload } from "../media/media.js";
import { CAPTURE_RATE } from "../media/user-audio.js";
import type { Line, LineHost } from "./line.js";

/** Unsent bytes above which audio is dropped (1 s of 20 ms blocks). */
const MAX_QUEUED_BYTES = 36_000;
/** Close code of a runner that does not accept the token, or the page's origin. */
const REFUSED = 4003;
const IN_ORDER: readonly (number | undefined)[] = [1000, 1001];

export interface FrameLineOptions {
  readonly host: LineHost;
  readonly gate: Passage;
  /** Where the bot is; asked for when the path is opened. */
  url(): string;
  readonly dialMs: number;
}

export class FrameLine implements Line {
  readonly maxMessageBytes = MAX_FRAME_BYTES - 64;
  readonly features: readonly Feature[] = [];
  readonly #options: FrameLineOptions;
  #socket: Socket | undefined;
  #pathId = 0;
  /** Of the bot's audio, Hz; 0 = none has come. */
  #rate = 0;
  /** Samples of the bot so far: the position of the next one. */
  #placed = 0;
  #flushes = 0;

  constructor(options: FrameLineOptions) {
    this.#options = options;
  }

  take(payload: Payload): boolean {
    if (payload.case === "pathOpen") {
      this.#pathId = payload.value.pathId;
      void this.#dial();
      return true;
    }
    const socket = this.#socket;
    if (payload.case !== "audio" || !socket || socket.bufferedBytes > MAX_QUEUED_BYTES) {
      return payload.case === "mute"; // a muted client sends no audio
    }
    socket.send(audioFrame(payload.value.data, CAPTURE_RATE));
    return true;
  }

  say(message: RtviMessage): boolean {
    this.#socket?.send(messageFrame(message));
    return this.#socket !== undefined;
  }

  ready(): void {
    this.#options.host.tell({ case: "pathReady", value: { pathId: this.#pathId } });
  }

  /** A frame of its own says so. */
  interrupted(): void {}

  drop(): void {
    this.#socket?.cut();
  }

  async close(scope: Scope): Promise<void> {
    await this.#socket?.close(scope);
  }

  async #dial(): Promise<void> {
    const { host, gate, dialMs } = this.#options;
    try {
      const url = this.#options.url();
      const socket = await Socket.dial(host.scope, url, dialMs, gate, "");
      this.#socket = socket;
      socket.own({
        received: (data) => this.#receive(data),
        lost: (error, closeCode) => this.#lost(error, closeCode),
      });
      host.opened(false);
    } catch (thrown) {
      if (host.scope.closed) return; // it was given up: whoever did so knows why
      const error = asError(thrown);
      host.failed(error.code === "unreachable" ? notOpened(this.#options.url(), error) : error);
    }
  }

  #lost(error: VoxwireError, closeCode: number | undefined): void {
    const { host } = this.#options;
    this.#socket = undefined;
    if (IN_ORDER.includes(closeCode)) host.left();
    else if (closeCode !== REFUSED) host.failed(error);
    else host.failed(makeError("unauthorized", "the bot's runner accepts no such token or origin"));
  }

  #receive(data: Received): void {
    const { host } = this.#options;
    try {
      this.#take(typeof data === "string" ? undefined : readFrame(data));
    } catch (error) {
      if (!(error instanceof VoxwireError)) throw error;
      host.ignored(error.reason);
    }
  }

  /** @param frame - undefined = a text, which no bot sends. */
  #take(frame: BotFrame | undefined): void {
    const { host } = this.#options;
    if (frame?.kind === "message") host.heard(frame.message);
    else if (frame?.kind === "audio") this.#play(frame);
    else if (frame?.kind === "interruption") this.#interrupted();
    else host.ignored(frame ? "a frame that no bot sends" : "a text message");
  }

  #play({ data, sampleRate, numChannels }: Extract<BotFrame, { kind: "audio" }>): void {
    const { host } = this.#options;
    const pathId = this.#pathId;
    if (this.#rate === 0) {
      this.#rate = sampleRate;
      const playout = { codec: wire.Codec.PCM_S16LE, sampleRate, numChannels: 1 };
      host.tell({ case: "pathAnswer", value: { pathId, playout } });
    }
    if (sampleRate !== this.#rate) {
      host.ignored("audio at another rate than before");
      return;
    }
    const mono = numChannels === 1 ? data : firstChannel(data, numChannels);
    const sampleIndex = BigInt(this.#placed);
    this.#placed += mono.length >> 1;
    host.tell({ case: "audio", value: { pathId, sampleIndex, data: mono } });
  }

  /** Nothing of what has come is to be heard any more. */
  #interrupted(): void {
    this.#flushes += 1;
    const untilMs = this.#rate && Math.ceil((this.#placed * 1000) / this.#rate);
    this.#placed = Math.floor((untilMs * this.#rate) / 1000);
    const flush = { flushId: this.#flushes, pathId: this.#pathId, untilMediaMs: BigInt(untilMs) };
    this.#options.host.tell({ case: "flush", value: flush });
  }
}

/** The first of interleaved int16 channels. */
function firstChannel(data: Uint8Array, numChannels: number): Uint8Array {
  const frames = Math.floor(data.length / (2 * numChannels));
  const mono = new Uint8Array(2 * frames);
  for (let at = 0; at < frames; at += 1) {
    mono.set(data.subarray(2 * numChannels * at, 2 * numChannels * at + 2), 2 * at);
  }
  return mono;
}

/** A browser does not tell why: nothing listens there, or the runner refused before it opened. */
function notOpened(url: string, cause: VoxwireError): VoxwireError {
  const { host, pathname } = new URL(url);
  const reason =
    `${host} opens no WebSocket at ${pathname}: does a Pipecat runner run there, ` +
    "and accept the token and this page's origin?";
  return makeError("unreachable", reason, { retryable: true, action: "reconnect", cause });
}
