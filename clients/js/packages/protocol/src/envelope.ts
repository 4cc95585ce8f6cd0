/** Envelopes: made, encoded, decoded. */
import { fromBinary, toBinary } from "./codec.js";
import { ProtocolError } from "./errors.js";
import { create, type Envelope, EnvelopeSchema, type MessageInitShape } from "./messages.js";

/** A payload, or what one can be made of: fields that are left out are empty. */
export type PayloadInit = NonNullable<
  Exclude<MessageInitShape<typeof EnvelopeSchema>, Envelope>["payload"]
>;

/** Numbers of an envelope; the channel writes them. */
export interface EnvelopeNumbers {
  readonly seq?: number;
  readonly ack?: number;
}

/** Makes an envelope: `envelope({ case: "ping", value: { number: 1 } })`. */
export function envelope(payload: PayloadInit, numbers: EnvelopeNumbers = {}): Envelope {
  return create(EnvelopeSchema, {
    seq: BigInt(numbers.seq ?? 0),
    ack: BigInt(numbers.ack ?? 0),
    payload,
  });
}

/** The bytes of an envelope, fields by ascending number. */
export function encodeEnvelope(message: Envelope): Uint8Array<ArrayBuffer> {
  return toBinary(EnvelopeSchema, message);
}

/**
 * Reads an envelope; fields of bytes are views of `bytes`.
 *
 * @throws ProtocolError "malformed": these bytes are no envelope.
 */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  try {
    return fromBinary(EnvelopeSchema, bytes);
  } catch (cause) {
    throw new ProtocolError("malformed", "these bytes are not an Envelope", { cause });
  }
}
