/** Parts of `channel.ts`: its error, the kept messages, chunks. */
import { fromBinary, toBinary } from "./codec.js";
import { envelope } from "./envelope.js";
import { type ErrorDetails, ProtocolError, UsageError } from "./errors.js";
import { type Chunk, type Envelope, EnvelopeSchema } from "./messages.js";

export type Bytes = Uint8Array<ArrayBuffer>;

/**
 * The most that seq and ack take in front of a payload: two tags, two varints of 64 bits. A
 * message is measured with it, so that a replay with a longer ack still fits the peer's limit.
 */
export const HEADER_BYTES = 22;

/** The most that the fields around `Chunk.data` take, header included. */
export const CHUNK_BYTES = 64;

const SEQ_TAG = 0x08;
const ACK_TAG = 0x10;

/** How much is kept for a replay, and how much is held that arrived early. */
export interface ReplayLimits {
  /** Most messages kept; also how far ahead of a gap a number may be. */
  readonly messages: number;
  /** Most bytes kept, and most bytes held behind a gap. */
  readonly totalBytes: number;
  /** How long a message is kept, milliseconds. */
  readonly ageMs: number;
}

export const DEFAULT_REPLAY_LIMITS: ReplayLimits = {
  messages: 2048,
  totalBytes: 512 * 1024,
  ageMs: 60_000,
};

/** A message that was not accepted or is too large; the channel itself goes on. */
export class ChannelError extends ProtocolError {
  override readonly name: string = "ChannelError";
  /** Number of the message at fault; 0 = unknown or not numbered. */
  readonly seq: number;
  /**
   * Messages that became deliverable with the refused one, in order. Empty on a single ordered
   * carrier; deliver them all the same.
   */
  delivered: readonly Envelope[] = [];

  constructor(
    code: "malformed" | "too_large" | "unexpected_message",
    reason: string,
    seq = 0,
    details?: ErrorDetails,
  ) {
    super(code, reason, details);
    this.seq = seq;
  }
}

export function malformed(reason: string, seq = 0): ChannelError {
  return new ChannelError("malformed", reason, seq);
}

export function tooLarge(reason: string, seq = 0): ChannelError {
  return new ChannelError("too_large", reason, seq);
}

export function unexpected(reason: string, seq = 0): ChannelError {
  return new ChannelError("unexpected_message", reason, seq);
}

export function misuse(reason: string): UsageError {
  return new UsageError("invalid_argument", reason);
}

/** A numbered body as it goes out; a number of 0 is not written, as proto3 has it. */
export function framed(seq: number, ack: number, body: Bytes): Bytes {
  const head: number[] = [];
  writeVarint(head, SEQ_TAG, seq);
  writeVarint(head, ACK_TAG, ack);
  const data = new Uint8Array(head.length + body.length);
  data.set(head);
  data.set(body, head.length);
  return data;
}

function writeVarint(out: number[], tag: number, value: number): void {
  if (value === 0) return;
  out.push(tag);
  let rest = value;
  while (rest > 0x7f) {
    out.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  out.push(rest);
}

/** The encoding without seq and ack; both stand in front of it on the wire. */
export function bare(message: Envelope): Bytes {
  return toBinary(EnvelopeSchema, { ...message, seq: 0n, ack: 0n });
}

/** Decodes an envelope; `reason` and `seq` say what is wrong when it is none. */
export function decode(data: Uint8Array, reason: string, seq = 0): Envelope {
  try {
    return fromBinary(EnvelopeSchema, data);
  } catch (cause) {
    throw new ChannelError("malformed", reason, seq, { cause });
  }
}

/** Bodies of the chunks that carry `body`. */
export function split(body: Bytes, pieceBytes: number): Bytes[] {
  const pieces: Bytes[] = [];
  for (let start = 0; start < body.length; start += pieceBytes) {
    const value = {
      index: pieces.length,
      last: start + pieceBytes >= body.length,
      totalBytes: start === 0 ? body.length : 0,
      data: body.subarray(start, start + pieceBytes),
    };
    pieces.push(bare(envelope({ case: "chunk", value })));
  }
  return pieces;
}

interface Kept {
  readonly sentMs: number;
  readonly body: Bytes;
}

/** Sent messages that the peer has not acknowledged, with consecutive numbers. */
export class Replay {
  last = 0;
  acknowledged = 0;
  readonly #limits: ReplayLimits;
  /** The newest is number `last`. */
  readonly #kept: Kept[] = [];
  #bytes = 0;

  constructor(limits: ReplayLimits) {
    this.#limits = limits;
  }

  /** When the oldest message that is kept was sent. */
  get oldestMs(): number | undefined {
    return this.#kept[0]?.sentMs;
  }

  /** True when a body of that size, in such pieces, fits without dropping another one. */
  hasRoom(numBytes: number, pieceBytes: number): boolean {
    const pieces = Math.ceil(numBytes / pieceBytes);
    return (
      this.#kept.length + pieces <= this.#limits.messages &&
      this.#bytes + numBytes + pieces * CHUNK_BYTES <= this.#limits.totalBytes
    );
  }

  /** Keeps a message and returns its number. */
  append(body: Bytes, nowMs: number): number {
    this.last += 1;
    this.#kept.push({ sentMs: nowMs, body });
    this.#bytes += body.length;
    this.expire(nowMs);
    return this.last;
  }

  /** Forgets everything up to `seq`. */
  acknowledge(seq: number): void {
    if (seq > this.last) throw malformed("acknowledges a message that was not sent");
    this.acknowledged = Math.max(this.acknowledged, seq);
    this.#drop(seq - (this.last - this.#kept.length));
  }

  /** Forgets what exceeds the limits. */
  expire(nowMs: number): void {
    const { messages, totalBytes, ageMs } = this.#limits;
    let count = 0;
    let bytes = this.#bytes;
    for (const { sentMs, body } of this.#kept) {
      const exceeds =
        this.#kept.length - count > messages || bytes > totalBytes || nowMs - sentMs > ageMs;
      if (!exceeds) break;
      count += 1;
      bytes -= body.length;
    }
    this.#drop(count);
  }

  /** Number and body of everything after `seq`; undefined when some of it is gone. */
  after(seq: number): (readonly [seq: number, body: Bytes])[] | undefined {
    const first = this.last - this.#kept.length + 1;
    if (first > seq + 1) return undefined;
    return this.#kept.map(({ body }, at) => [first + at, body] as const);
  }

  #drop(count: number): void {
    if (count <= 0) return;
    for (const { body } of this.#kept.splice(0, count)) this.#bytes -= body.length;
  }
}

const NOTHING = new Uint8Array(0);

/** The chunked message that is arriving. */
export class Assembly {
  readonly #maxBytes: number;
  #data = NOTHING;
  #length = 0;
  #index = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /**
   * Takes the next piece and returns the message once it is whole.
   *
   * A piece that does not fit ends the reassembly: what was there is dropped.
   */
  add(chunk: Chunk, seq: number): Envelope | undefined {
    let data: Bytes | undefined;
    try {
      data = this.#append(chunk, seq);
    } catch (error) {
      this.#reset();
      throw error;
    }
    if (data === undefined) return undefined;
    this.#reset();
    const message = decode(data, "the chunks do not make an Envelope", seq);
    if (message.seq || message.ack || message.payload.case === "chunk") {
      throw malformed("a chunked message has neither numbers nor chunks in it", seq);
    }
    message.seq = BigInt(seq);
    return message;
  }

  #append(chunk: Chunk, seq: number): Bytes | undefined {
    if (chunk.index !== this.#index || chunk.data.length === 0) {
      throw malformed("this chunk does not follow the one before it", seq);
    }
    if (chunk.index === 0) {
      if (chunk.totalBytes > this.#maxBytes) {
        throw tooLarge("the chunked message is above this side's limit", seq);
      }
      this.#data = new Uint8Array(chunk.totalBytes);
    }
    const length = this.#length + chunk.data.length;
    if (length > this.#data.length || chunk.last !== (length === this.#data.length)) {
      throw malformed("the chunks do not add up to total_bytes", seq);
    }
    this.#data.set(chunk.data, this.#length);
    this.#length = length;
    this.#index += 1;
    return chunk.last ? this.#data : undefined;
  }

  #reset(): void {
    this.#data = NOTHING;
    this.#length = 0;
    this.#index = 0;
  }
}
