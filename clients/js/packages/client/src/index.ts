export type {
  BotState,
  ClientEvents,
  ErrorCode,
  ErrorEvent,
  JsonValue,
  PlacedWord,
  RecoveryAction,
  Snapshot,
} from "@voxwire/protocol";
export {
  BotError,
  joinTexts,
  MediaError,
  ProtocolError,
  SessionError,
  SignalingError,
  TransportError,
  UsageError,
  VoxwireError,
} from "@voxwire/protocol";
export type * from "./api.js";
export type { Environment, WebSocketLike } from "./core/environment.js";
export {
  type ObjectSchema,
  type StandardSchema,
  ToolError,
  type ToolOptions,
  tool,
} from "./core/tool.js";
export { createClient } from "./create-client.js";
export type * from "./media/media.js";
