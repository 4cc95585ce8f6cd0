/** One peer connection to a stock SmallWebRTC bot, with its data channel "chat". */
import { VoxwireError } from "@voxwire/protocol";
import {
  CHAT_LABEL,
  type ChatText,
  encode,
  pingText,
  type RtviMessage,
  readChat,
  trackStatusText,
} from "@voxwire/protocol/rtvi";
import type { Scope } from "../core/scope.js";

/** After 3 s without a ping a stock bot is deaf and mute. */
const PING_MS = 1000;
/** What a bot says may be larger than what it takes: it does not look. */
const MAX_HEARD_BYTES = 1_048_576;

export interface ChatOwner {
  readonly microphoneOn: boolean;
  opened(chat: Chat): void;
  heard(chat: Chat, said: ChatText): void;
  closed(chat: Chat): void;
  ignored(reason: string): void;
}

export class Chat {
  /** Number of the path whose connection it is, once that is asked for. */
  pathId = 0;
  /** What the bot's runner calls the connection; empty until it has answered. */
  pcId = "";
  /** Candidates that the runner has not been told of. */
  readonly candidates: { candidate: string; sdp_mid: string; sdp_mline_index: number }[] = [];
  readonly #channel: RTCDataChannel;

  /** Adds to a new connection, behind its audio, what a stock bot counts on: lines for a camera and
   * a screen, in this order, and the channel. It may be the only one. */
  constructor(
    readonly connection: RTCPeerConnection,
    private readonly scope: Scope,
    owner: ChatOwner,
  ) {
    for (let lines = 0; lines < 2; lines += 1) {
      connection.addTransceiver("video", { direction: "inactive" });
    }
    const channel = connection.createDataChannel(CHAT_LABEL, { ordered: true });
    this.#channel = channel;
    channel.onopen = () => {
      this.#ping();
      this.#tell(trackStatusText("audio", owner.microphoneOn));
      this.#tell(trackStatusText("video", false));
      this.#tell(trackStatusText("screen", false));
      owner.opened(this);
    };
    channel.onclose = () => owner.closed(this);
    channel.onmessage = ({ data }: MessageEvent<unknown>) => {
      try {
        owner.heard(this, readChat(typeof data === "string" ? data : "", MAX_HEARD_BYTES));
      } catch (error) {
        if (!(error instanceof VoxwireError)) throw error;
        owner.ignored(error.reason);
      }
    };
  }

  /** Sends a message; false = the channel is not open. */
  say(message: RtviMessage): boolean {
    return this.#tell(encode(message));
  }

  /** Tells the bot that the user's microphone is on or off. */
  mute(muted: boolean): void {
    this.#tell(trackStatusText("audio", !muted));
  }

  /** True when this side closed the connection, or something in this page did. */
  get isOver(): boolean {
    return this.connection.signalingState === "closed";
  }

  /** Ends the channel; the connection belongs to its path. */
  close(): void {
    const channel = this.#channel;
    channel.onopen = channel.onclose = channel.onmessage = null;
    channel.close();
  }

  #ping(): void {
    if (this.#tell(pingText(Date.now()))) this.scope.after(PING_MS, () => this.#ping());
  }

  #tell(text: string): boolean {
    if (this.#channel.readyState !== "open") return false;
    this.#channel.send(text);
    return true;
  }
}
