/**
 * Numbered delivery: sequence, acknowledge, replay, deduplicate, reassemble.
 *
 * One `Channel` per session and side. It turns envelopes into bytes and back and knows nothing of
 * what carries them: one ordered socket, several carriers at once, or one that loses, repeats and
 * reorders. It reads no clock; `nowMs` is any monotonic clock in milliseconds
 * (protocol/spec/session.md).
 */
import {
  Assembly,
  type Bytes,
  bare,
  CHUNK_BYTES,
  ChannelError,
  DEFAULT_REPLAY_LIMITS,
  decode,
  framed,
  HEADER_BYTES,
  malformed,
  misuse,
  Replay,
  type ReplayLimits,
  split,
  tooLarge,
  unexpected,
} from "./delivery.js";
import { encodeEnvelope, envelope } from "./envelope.js";
import { DEFAULT_MAX_MESSAGE_BYTES, MAX_CHUNKED_MESSAGE_BYTES } from "./limits.js";
import type { Chunk, Envelope } from "./messages.js";
import { type PayloadCase, RELIABLE_PAYLOADS } from "./payloads.js";

export { ChannelError, type ReplayLimits } from "./delivery.js";

/** Received messages after which a standalone acknowledgement is due at once. */
export const ACK_EVERY = 32;

/** Longest time that a received message waits for an acknowledgement, milliseconds. */
export const ACK_DELAY_MS = 250;

/** Smallest `maxSendBytes`; below it a chunk would hardly hold anything. */
export const MIN_SEND_BYTES = 128;

export interface ChannelOptions {
  /** Payloads that the peer may send: `wire.SERVER_PAYLOADS` on the client. */
  readonly allowed: ReadonlySet<PayloadCase>;
  /** Largest envelope that the peer accepts; a larger reliable message goes out in chunks. */
  readonly maxSendBytes?: number;
  /** Largest envelope accepted from the peer. */
  readonly maxReceiveBytes?: number;
  /** Largest chunked message in either direction. */
  readonly maxMessageBytes?: number;
  /** Bounds of what is kept and held; default 2048 messages, 512 KiB, 60 s. */
  readonly limits?: Partial<ReplayLimits>;
}

interface Held {
  /** undefined = a refused one. */
  readonly message: Envelope | undefined;
  readonly numBytes: number;
}

/** One side of a session's numbered message exchange. */
export class Channel {
  readonly #allowed: ReadonlySet<PayloadCase>;
  readonly #maxReceiveBytes: number;
  readonly #maxMessageBytes: number;
  readonly #limits: ReplayLimits;
  #maxSendBytes = DEFAULT_MAX_MESSAGE_BYTES;
  #replay: Replay;
  #assembly: Assembly;
  #received = 0;
  /** Early messages by number. */
  readonly #held = new Map<number, Held>();
  #heldBytes = 0;
  #ackDueMs: number | undefined;
  #ackCount = 0;

  /**
   * Creates a channel that has neither sent nor received anything.
   *
   * @throws UsageError "invalid_argument": `maxSendBytes` is below `MIN_SEND_BYTES`.
   */
  constructor(options: ChannelOptions) {
    this.#allowed = options.allowed;
    this.#maxReceiveBytes = options.maxReceiveBytes ?? DEFAULT_MAX_MESSAGE_BYTES;
    this.#maxMessageBytes = options.maxMessageBytes ?? MAX_CHUNKED_MESSAGE_BYTES;
    this.#limits = { ...DEFAULT_REPLAY_LIMITS, ...options.limits };
    this.maxSendBytes = options.maxSendBytes ?? DEFAULT_MAX_MESSAGE_BYTES;
    this.#replay = new Replay(this.#limits);
    this.#assembly = new Assembly(this.#maxMessageBytes);
  }

  /**
   * Forgets everything and numbers anew in both directions.
   *
   * For after a resume that was answered with `resumed=false`.
   */
  restart(): void {
    this.#replay = new Replay(this.#limits);
    this.#assembly = new Assembly(this.#maxMessageBytes);
    this.#received = 0;
    this.#held.clear();
    this.#heldBytes = 0;
    this.#takeAck();
  }

  /** Largest envelope that the peer accepts, bytes; settable once the peer has said it. */
  get maxSendBytes(): number {
    return this.#maxSendBytes;
  }

  set maxSendBytes(value: number) {
    if (!(value >= MIN_SEND_BYTES)) {
      throw misuse(`maxSendBytes must be at least ${MIN_SEND_BYTES}, not ${value}`);
    }
    this.#maxSendBytes = value;
  }

  /** Highest number received without a gap; 0 = none. */
  get lastReceived(): number {
    return this.#received;
  }

  /** Highest number sent; 0 = none. */
  get lastSent(): number {
    return this.#replay.last;
  }

  /** How many sent messages the peer has not acknowledged. */
  get unacknowledged(): number {
    return this.#replay.last - this.#replay.acknowledged;
  }

  /** When the oldest unacknowledged message was sent; undefined = the peer has everything. */
  get waitingSinceMs(): number | undefined {
    return this.#replay.oldestMs;
  }

  /** When `outgoing` wants to be called next; undefined = not before the next receive. */
  get nextDueMs(): number | undefined {
    return this.#ackDueMs;
  }

  /** False when sending a message would push an unacknowledged one out of the replay. */
  hasRoom(message: Envelope): boolean {
    return this.#replay.hasRoom(encodeEnvelope(message).length, this.#maxSendBytes - CHUNK_BYTES);
  }

  /**
   * Numbers, encodes and keeps a message.
   *
   * The message is not changed; a `seq` or `ack` in it is ignored.
   *
   * @param message - An envelope with any payload but `chunk`.
   * @returns Encoded envelopes, to be written in this order.
   * @throws UsageError "invalid_argument": no payload, or a chunk. ChannelError "too_large": above
   *   `maxSendBytes` (lossy) or `maxMessageBytes` (reliable). Nothing is numbered then.
   */
  send(message: Envelope, nowMs: number): Bytes[] {
    const payload = message.payload.case;
    if (payload === undefined || payload === "chunk") {
      throw misuse("an envelope needs a payload, and chunks are made by the channel");
    }
    const body = bare(message);
    if (RELIABLE_PAYLOADS.has(payload)) return this.#sendReliable(body, nowMs);
    // The peer learns what arrived from last_seq in these two, and they may open a new numbering.
    const handshake = payload === "hello" || payload === "welcome";
    const owed = this.#ackDueMs !== undefined && !handshake;
    const data = owed ? framed(0, this.#received, body) : body;
    if (data.length > this.#maxSendBytes) {
      throw tooLarge(`${payload} is above the peer's limit and is not chunked`);
    }
    if (owed) this.#takeAck();
    return [data];
  }

  /**
   * Takes one envelope from a carrier.
   *
   * Bytes that are no valid message change nothing. A numbered message with a payload that the
   * peer may not send, or that this version does not know, counts as received, so that those
   * behind it do not wait for ever.
   *
   * @param data - One encoded envelope; messages may keep views of it.
   * @returns What is now deliverable, in order: lossy messages at once, reliable ones without gaps
   *   or repetitions, chunked ones whole (their seq is that of the last chunk).
   * @throws ChannelError "malformed", "too_large" or "unexpected_message".
   */
  receive(data: Uint8Array, nowMs: number): Envelope[] {
    if (data.length > this.#maxReceiveBytes) {
      throw tooLarge("the envelope is above this side's limit");
    }
    const message = decode(data, "these bytes are not an Envelope");
    const seq = Number(message.seq);
    const payload = message.payload.case;
    checkForm(message, seq);
    this.#replay.acknowledge(Number(message.ack));
    const accepted = payload !== undefined && this.#allowed.has(payload);
    if (seq) return this.#receiveReliable(message, accepted, data.length, nowMs);
    if (!accepted) throw unexpected("this side does not accept that payload");
    return payload === "ackOnly" ? [] : [message];
  }

  /** Returns the standalone acknowledgement if it is due. */
  outgoing(nowMs: number): Bytes[] {
    if (this.#ackDueMs === undefined || nowMs < this.#ackDueMs) return [];
    return [encodeEnvelope(envelope({ case: "ackOnly", value: {} }, { ack: this.#takeAck() }))];
  }

  /**
   * Notes that the carrier is gone: an acknowledgement owed on it is not owed any more.
   *
   * The handshake of the next one says `lastReceived`. What was held or half assembled stays; the
   * replay continues it.
   */
  onLost(nowMs: number): void {
    this.#replay.expire(nowMs);
    this.#takeAck();
  }

  /**
   * Encodes again what the peer has not received.
   *
   * @param lastSeq - `lastReceived` of the peer; acknowledges everything up to it.
   * @returns Encoded envelopes in order, or undefined when some are no longer kept: the session
   *   then goes on from a Snapshot and both sides `restart`.
   * @throws ChannelError "malformed" when `lastSeq` was never sent.
   */
  resume(lastSeq: number, nowMs: number): Bytes[] | undefined {
    this.#replay.acknowledge(lastSeq);
    this.#replay.expire(nowMs);
    const missing = this.#replay.after(lastSeq);
    if (missing === undefined || missing.length === 0) return missing && [];
    const ack = this.#received; // still owed: the replay may never be sent
    return missing.map(([seq, body]) => framed(seq, ack, body));
  }

  #sendReliable(body: Bytes, nowMs: number): Bytes[] {
    if (body.length > this.#maxMessageBytes) {
      throw tooLarge("the message is above max_message_bytes");
    }
    const whole = body.length + HEADER_BYTES <= this.#maxSendBytes;
    const pieces = whole ? [body] : split(body, this.#maxSendBytes - CHUNK_BYTES);
    const ack = this.#takeAck();
    return pieces.map((piece) => framed(this.#replay.append(piece, nowMs), ack, piece));
  }

  #receiveReliable(message: Envelope, accepted: boolean, numBytes: number, nowMs: number) {
    const seq = Number(message.seq);
    if (seq <= this.#received) {
      this.#oweAck(0, nowMs);
      return [];
    }
    if (this.#held.has(seq)) return [];
    const ahead = seq - this.#received;
    const tooMuch =
      ahead > this.#limits.messages || this.#heldBytes + numBytes > this.#limits.totalBytes;
    if (ahead > 1 && tooMuch) throw unexpected("too much is missing before this message", seq);
    this.#held.set(seq, { message: accepted ? message : undefined, numBytes });
    this.#heldBytes += numBytes;
    const { delivered, errors } = this.#drain(nowMs);
    if (!accepted) errors.unshift(unexpected("this side does not accept that payload", seq));
    const [error] = errors;
    if (error === undefined) return delivered;
    error.delivered = delivered;
    throw error;
  }

  /** Takes everything that has no gap before it. */
  #drain(nowMs: number): { delivered: Envelope[]; errors: ChannelError[] } {
    const delivered: Envelope[] = [];
    const errors: ChannelError[] = [];
    const before = this.#received;
    for (;;) {
      const next = this.#held.get(this.#received + 1);
      if (next === undefined) break;
      this.#received += 1;
      this.#held.delete(this.#received);
      this.#heldBytes -= next.numBytes;
      try {
        const payload = next.message?.payload;
        const whole = payload?.case === "chunk" ? this.#assemble(payload.value) : next.message;
        if (whole !== undefined) delivered.push(whole);
      } catch (error) {
        if (!(error instanceof ChannelError)) throw error;
        errors.push(error);
      }
    }
    if (this.#received > before) this.#oweAck(this.#received - before, nowMs);
    return { delivered, errors };
  }

  #assemble(chunk: Chunk): Envelope | undefined {
    const message = this.#assembly.add(chunk, this.#received);
    if (message === undefined) return undefined;
    checkForm(message, this.#received);
    const payload = message.payload.case;
    if (payload === undefined || !this.#allowed.has(payload)) {
      throw unexpected("this side does not accept that payload", this.#received);
    }
    return message;
  }

  /** Notes `count` more messages to acknowledge; 0 = a repetition, acknowledged at once. */
  #oweAck(count: number, nowMs: number): void {
    this.#ackCount += count;
    const atOnce = count === 0 || this.#ackCount >= ACK_EVERY;
    const dueMs = atOnce ? nowMs : nowMs + ACK_DELAY_MS;
    this.#ackDueMs = Math.min(dueMs, this.#ackDueMs ?? dueMs);
  }

  /** The acknowledgement to write; nothing is owed after it. */
  #takeAck(): number {
    this.#ackDueMs = undefined;
    this.#ackCount = 0;
    return this.#received;
  }
}

/** Throws "malformed" for what no version of the protocol may say. */
function checkForm(message: Envelope, seq: number): void {
  const payload = message.payload.case;
  if (payload === undefined) {
    // An unknown field may be the payload of a newer version.
    if (!message.$unknown?.length) throw malformed("the envelope has no payload", seq);
    return;
  }
  const reliable = RELIABLE_PAYLOADS.has(payload);
  if (reliable !== seq > 0) {
    const need = reliable ? "needs" : "must not have";
    throw malformed(`${payload} ${need} a sequence number`, seq);
  }
}
