/**
 * What travels on the WebSocket of a stock bot: binary messages, each a `Frame` of Pipecat
 * (`protocol/proto/pipecat/frames.proto`). Never send one a text: it ends the session there.
 */
import { create, fromBinary, toBinary } from "../codec.js";
import { FrameSchema } from "../gen/pipecat-tables.js";
import { decode, encode, RtviError, type RtviMessage } from "./message.js";

/** Largest frame that is read: what stock servers and clients take, bytes. */
export const MAX_FRAME_BYTES = 1_048_576;

/** What a bot says there; "unknown" = a frame that is no client's, or newer than this library. */
export type BotFrame =
  | { readonly kind: "message"; readonly message: RtviMessage }
  | {
      readonly kind: "audio";
      /** int16 little-endian PCM, interleaved. */
      readonly data: Uint8Array;
      readonly sampleRate: number;
      readonly numChannels: number;
    }
  | { readonly kind: "interruption" }
  | { readonly kind: "unknown" };

/**
 * Reads a binary message of a bot.
 *
 * @throws RtviError "too_large"; "malformed": no `Frame`, or what `decode` refuses.
 */
export function readFrame(data: Uint8Array): BotFrame {
  if (data.length > MAX_FRAME_BYTES) {
    throw new RtviError("too_large", `the frame is above ${MAX_FRAME_BYTES} bytes`);
  }
  const { frame } = framed(data);
  switch (frame.case) {
    case "message":
      return { kind: "message", message: decode(frame.value.data, MAX_FRAME_BYTES) };
    case "audio": {
      const { audio, sampleRate, numChannels } = frame.value;
      return { kind: "audio", data: audio, sampleRate, numChannels: numChannels || 1 };
    }
    case "interruption":
      return { kind: "interruption" };
    default:
      return { kind: "unknown" };
  }
}

/** A message for a bot, as a binary message of the WebSocket. */
export function messageFrame(message: RtviMessage): Uint8Array<ArrayBuffer> {
  const value = { data: encode(message) };
  return toBinary(FrameSchema, create(FrameSchema, { frame: { case: "message", value } }));
}

/**
 * The user's audio, as a binary message of the WebSocket.
 *
 * @param audio - int16 little-endian PCM, mono.
 * @param sampleRate - Hz; stock bots expect 16 000.
 */
export function audioFrame(audio: Uint8Array, sampleRate: number): Uint8Array<ArrayBuffer> {
  const value = { name: "audio", audio, sampleRate, numChannels: 1 };
  return toBinary(FrameSchema, create(FrameSchema, { frame: { case: "audio", value } }));
}

function framed(data: Uint8Array) {
  try {
    return fromBinary(FrameSchema, data);
  } catch {
    throw new RtviError("malformed", "the bytes are no frame");
  }
}
