/**
 * RTVI, the protocol of stock Pipecat bots (protocol/spec/rtvi.md): their JSON text as messages, a
 * stock bot as envelopes of ours and ours as messages of its. An entry of its own: a page that
 * talks to Voxwire servers only does not load it.
 */
export { LATE_MS } from "./arrivals.js";
export { BotFiles, type FileStep } from "./bot-files.js";
export { BotRequests, type RtviFile } from "./bot-requests.js";
export { CHAT_LABEL, type ChatText, pingText, readChat, trackStatusText } from "./chat.js";
export { audioFrame, type BotFrame, MAX_FRAME_BYTES, messageFrame, readFrame } from "./frames.js";
export {
  decode,
  encode,
  LABEL,
  MAX_MESSAGE_BYTES,
  MAX_MESSAGE_DEPTH,
  RtviError,
  type RtviMessage,
} from "./message.js";
export { type BotCapabilities, StockBot, type StockBotOptions } from "./stock-bot.js";
export { parseVersion, RTVI_VERSION, type Version, versionText } from "./version.js";
