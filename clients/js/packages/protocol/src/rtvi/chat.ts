/**
 * What travels on the data channel "chat" of a stock SmallWebRTC bot beside RTVI: text pings and
 * signaling (pipecat 1.14, `transports/smallwebrtc/connection.py`).
 */
import { decode, isObject, MAX_MESSAGE_BYTES, RtviError, type RtviMessage } from "./message.js";

/**
 * Label of the data channel; the client opens it, ordered and reliable. A stock bot talks on
 * whichever channel was opened last: never open a second one to it.
 */
export const CHAT_LABEL = "chat";

/** What a bot says there: a message, or that it wants a new offer, or that it has left. */
export type ChatText =
  | { readonly kind: "message"; readonly message: RtviMessage }
  | { readonly kind: "renegotiate" }
  | { readonly kind: "peerLeft" };

/**
 * Reads what a bot says on the channel.
 *
 * @param maxBytes - Largest text, UTF-8 bytes.
 * @throws RtviError as `decode`; "malformed" also for signaling that no bot sends.
 */
export function readChat(text: string, maxBytes = MAX_MESSAGE_BYTES): ChatText {
  const kind = signalingOf(text);
  if (kind === undefined) return { kind: "message", message: decode(text, maxBytes) };
  if (kind === "renegotiate" || kind === "peerLeft") return { kind };
  throw new RtviError("malformed", "signaling of a type that no bot sends");
}

/** The type of a signaling message; undefined = the text is none. Signaling is short. */
function signalingOf(text: string): unknown {
  if (text.length > 256 || !text.includes('"signalling"')) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (!isObject(value) || value.type !== "signalling" || "label" in value) return undefined;
    return isObject(value.message) ? value.message.type : null;
  } catch {
    return undefined;
  }
}

/** The sign of life of a client, every second: after 3 s without one a stock bot is deaf and mute. */
export function pingText(unixMs: number): string {
  return `ping: ${unixMs}`;
}

/** Tells a bot that a track is on or off; of each of them when the channel opens. */
export function trackStatusText(track: "audio" | "video" | "screen", enabled: boolean): string {
  const receiver_index = ["audio", "video", "screen"].indexOf(track);
  const message = { type: "trackStatus", receiver_index, enabled };
  return JSON.stringify({ type: "signalling", message });
}
