/** The client in Node: WAV files for microphone and speaker, and a WebSocket. */
import type { Client, ClientOptions } from "../api.js";
import { createClient as create } from "../create-client.js";
import { nodeSocket } from "./node-socket.js";

export { nodeSocket } from "./node-socket.js";
export { type WavMedia, type WavMediaOptions, wavMedia } from "./wav-media.js";

/** `createClient` of `@voxwire/client` with a WebSocket that Node has, or that `ws` brings. */
export function createClient(options: ClientOptions): Client {
  const openSocket = options.environment?.openSocket ?? nodeSocket;
  return create({ ...options, environment: { ...options.environment, openSocket } });
}
