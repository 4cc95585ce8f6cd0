/** A stock bot over SmallWebRTC: offers over HTTP, audio over WebRTC, messages on its data channel. */
import {
  codeToWire,
  type JsonValue,
  makeError,
  type VoxwireError,
  type wire,
} from "@voxwire/protocol";
import { type ChatText, MAX_MESSAGE_BYTES, type RtviMessage } from "@voxwire/protocol/rtvi";
import { asError } from "../core/attach.js";
import type { Feature } from "../core/peer.js";
import type { PathWiring, Payload } from "../media/media.js";
import { Chat, type ChatOwner } from "./chat.js";
import type { Line, LineHost } from "./line.js";
import { areOfTwo, type Runner } from "./runner.js";

/** Candidates are told together, this long after the first of them. */
const BATCH_MS = 200;
/** Sound that was received and has not been heard when the bot is cut off, milliseconds: what a
 * browser's jitter buffer holds. */
const BUFFERED_MS = 120;

export interface ChatLineOptions {
  readonly host: LineHost;
  readonly runner: Runner;
  /** For the bot, with the first offer. */
  readonly requestData: JsonValue | undefined;
  /** False = a lost connection ends the session. */
  readonly resume: boolean;
}

export class ChatLine implements Line, ChatOwner {
  readonly maxMessageBytes = MAX_MESSAGE_BYTES;
  readonly features: readonly Feature[];
  readonly wiring: PathWiring = {
    unanchored: true,
    prepare: (connection) => {
      this.#next?.close();
      this.#next = new Chat(connection, this.#options.host.scope, this);
    },
  };
  readonly #options: ChatLineOptions;
  /** The connection that is asked for, and the one that carries the session. */
  #next: Chat | undefined;
  #chat: Chat | undefined;
  /** Name of the newest connection that the runner answered for. */
  #pcId = "";
  #welcomed = false;
  #attempts = 0;
  #flushes = 0;
  #asking = new AbortController();

  constructor(options: ChatLineOptions) {
    this.#options = options;
    this.features = options.resume ? ["reconnect"] : [];
    options.host.scope.defer(() => this.#asking.abort(options.host.scope.signal.reason));
  }

  get microphoneOn(): boolean {
    return this.#options.host.microphoneOn;
  }

  take(payload: Payload): boolean {
    switch (payload.case) {
      case "pathOpen":
        void this.#offer(payload.value);
        return true;
      case "pathClose":
        if (this.#next?.pathId === payload.value.pathId) this.#giveUp();
        return true;
      case "iceCandidate":
        this.#gathered(payload.value);
        return true;
      case "mute":
        this.#chat?.mute(payload.value.muted);
        return true;
      default:
        return false; // audio has a path of its own
    }
  }

  say(message: RtviMessage): boolean {
    return this.#next === undefined && (this.#chat?.say(message) ?? false);
  }

  ready(): void {
    this.#welcomed = true;
    const pathId = this.#chat?.pathId ?? 0;
    this.#options.host.tell({ case: "pathReady", value: { pathId } });
  }

  interrupted(): void {
    this.#flushes += 1;
    const { host } = this.#options;
    const untilMediaMs = BigInt(host.positionMs + BUFFERED_MS);
    const value = { flushId: this.#flushes, pathId: this.#chat?.pathId ?? 0, untilMediaMs };
    host.tell({ case: "flush", value });
  }

  drop(): void {
    const chat = this.#chat;
    chat?.close();
    if (chat) this.#lose(chat, makeError("connection_lost", "the connection was cut"));
  }

  async close(): Promise<void> {
    this.#giveUp();
    this.#chat?.close();
  }

  opened(chat: Chat): void {
    if (chat !== this.#next) return;
    this.#chat?.close();
    this.#chat = chat;
    this.#next = undefined;
    this.#attempts = 0;
    this.#options.host.opened(this.#welcomed);
  }

  heard(chat: Chat, said: ChatText): void {
    if (chat !== this.#chat) return;
    if (said.kind === "message") this.#options.host.heard(said.message);
    else if (said.kind === "peerLeft") this.#options.host.left();
    else void this.#renegotiate(chat);
  }

  /** The bot closes its connection when it leaves; a page that does so itself has cut it. */
  closed(chat: Chat): void {
    if (chat !== this.#chat || this.#next) return;
    if (!chat.isOver) this.#options.host.left();
    else this.#lose(chat, makeError("connection_lost", "the page closed the connection"));
  }

  ignored(reason: string): void {
    this.#options.host.ignored(reason);
  }

  /** Has the offer of a path answered: a first one, or one for the session that lost its own. */
  async #offer({ pathId, sdpOffer: sdp }: wire.PathOpen): Promise<void> {
    const chat = this.#next;
    if (!chat) return;
    const { host, runner, requestData } = this.#options;
    const { signal } = this.#asking;
    chat.pathId = pathId;
    const again = this.#pcId && { pc_id: this.#pcId, restart_pc: true };
    if (again) {
      this.#attempts += 1;
      host.reconnecting(this.#attempts);
    }
    const asked = {
      sdp,
      ...again,
      ...(requestData !== undefined && { request_data: requestData }),
    };
    try {
      const { sdp: sdpAnswer, pcId } = await runner.offer(asked, signal);
      if (areOfTwo(this.#pcId, pcId)) {
        throw makeError("session_expired", "it has begun another one");
      }
      chat.pcId = this.#pcId = pcId;
      if (signal.aborted) return;
      host.tell({ case: "pathAnswer", value: { pathId, sdpAnswer } });
      this.#tellCandidates(chat);
    } catch (thrown) {
      if (signal.aborted) return;
      const error = asError(thrown);
      const isOver = !error.retryable || (this.#welcomed && (await runner.isGone(error, signal)));
      if (!signal.aborted) this.#refused(pathId, error, isOver);
    }
  }

  /** A first offer that is refused is the end, and a later one that always will be.
   *
   * @param isOver - There is no session any more that could be had back. */
  #refused(pathId: number, error: VoxwireError, isOver: boolean): void {
    const { host } = this.#options;
    if (!this.#welcomed) {
      host.failed(error);
    } else if (!isOver) {
      const { code, reason } = error;
      host.tell({ case: "pathClose", value: { pathId, code: codeToWire(code), reason } });
    } else {
      const reason = `the bot's runner did not take the session back (${error.reason})`;
      const details = { action: "reconnect", cause: error } as const;
      host.failed(makeError("session_expired", reason, details));
    }
  }

  /** The bot asks for another offer on the connection that there is. */
  async #renegotiate(chat: Chat): Promise<void> {
    const { connection, pcId } = chat;
    const { host, runner } = this.#options;
    try {
      await connection.setLocalDescription();
      const sdp = connection.localDescription?.sdp ?? "";
      const asked = { sdp, pc_id: pcId, restart_pc: false };
      const answer = await runner.offer(asked, host.scope.signal);
      await connection.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    } catch (error) {
      if (chat === this.#chat && !chat.isOver) {
        host.ignored(`the bot's wish for another offer: ${asError(error).reason}`);
      }
    }
  }

  #gathered({ pathId, candidate, sdpMid }: wire.IceCandidate): void {
    const chat = [this.#next, this.#chat].find((one) => one?.pathId === pathId);
    if (!chat) return;
    const index = Number(sdpMid) || 0; // browsers name lines by their number
    chat.candidates.push({ candidate, sdp_mid: sdpMid, sdp_mline_index: index });
    if (chat.candidates.length > 1) return;
    this.#options.host.scope.after(BATCH_MS, () => this.#tellCandidates(chat));
  }

  /** Tells the runner of candidates, which wait for its answer to the offer. */
  #tellCandidates(chat: Chat): void {
    if (!chat.pcId || chat.candidates.length === 0) return;
    const { host, runner } = this.#options;
    runner.tell(chat.pcId, chat.candidates.splice(0), host.scope.signal).catch((error) => {
      if (!host.scope.closed) host.ignored(`candidates: ${asError(error).reason}`);
    });
  }

  #lose(chat: Chat, { code, reason }: VoxwireError): void {
    const value = { pathId: chat.pathId, code: codeToWire(code), reason };
    this.#options.host.tell({ case: "pathClose", value });
  }

  #giveUp(): void {
    this.#asking.abort(makeError("invalid_state", "the offer was given up"));
    this.#asking = new AbortController();
    this.#next?.close();
    this.#next = undefined;
  }
}
