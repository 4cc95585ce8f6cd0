/** Fixed numbers and names of the protocol (protocol/spec/session.md, limits.md). */

/** WebSocket subprotocol of `WS /v1/session` (RFC 6455 §1.9). */
export const SUBPROTOCOL = "voxwire.v1";

/** Version that this library writes into Hello. */
export const PROTOCOL_VERSION = 1;

/** Largest envelope that either side accepts unless it says otherwise, bytes. */
export const DEFAULT_MAX_MESSAGE_BYTES = 65_536;

/** Largest message that is put together from chunks, bytes. */
export const MAX_CHUNKED_MESSAGE_BYTES = 1_048_576;

/** Largest Hello that a server takes, bytes. */
export const MAX_HELLO_BYTES = 16_384;

/** Most samples of one `audio` message, bytes. */
export const MAX_AUDIO_BYTES = 8_192;

/** A refusal closes the WebSocket with this plus the error code (RFC 6455 §7.4.2: 4000-4999). */
export const CLOSE_CODE_BASE = 4000;
