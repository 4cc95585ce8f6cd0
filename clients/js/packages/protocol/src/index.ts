/** The protocol of Voxwire: messages, pure cores, errors. No DOM, no timers, no clock. */
export {
  type CapturePiece,
  KEPT_MS,
  KeptCapture,
  type KeptCaptureOptions,
  SEAM_MS,
} from "./capture.js";
export {
  ACK_DELAY_MS,
  ACK_EVERY,
  Channel,
  ChannelError,
  type ChannelOptions,
  MIN_SEND_BYTES,
  type ReplayLimits,
} from "./channel.js";
export { ClockSync, type Sample } from "./clock.js";
export { type CodePoints, codePointsOf, sliceCodePoints } from "./code-points.js";
export {
  actionFromWire,
  BotError,
  closeCodeOf,
  codeFromWire,
  codeOfClose,
  codeToWire,
  type ErrorCode,
  type ErrorContext,
  type ErrorDetails,
  errorFromClose,
  errorFromWire,
  errorToWire,
  MediaError,
  makeError,
  ProtocolError,
  type RecoveryAction,
  SessionError,
  SignalingError,
  TransportError,
  UsageError,
  VoxwireError,
} from "./errors.js";
export { fromEnvelope, type OnBroken, snapshotOf } from "./event-codec.js";
export type * from "./event-enums.js";
export type * from "./events.js";
export type * from "./events-connection.js";
export {
  dumpJson,
  type JsonLimits,
  type JsonValue,
  jsonFault,
  MAX_JSON_BYTES,
  MAX_VALUE_DEPTH,
  MAX_VALUE_NODES,
  parseJson,
  utf8Length,
} from "./json-text.js";
export { joinTexts } from "./text-join.js";
export {
  type DecodeOptions,
  decodeWords,
  type EncodeOptions,
  encodeWords,
  type TimedWord,
} from "./timed-words.js";
export { type Heard, KEPT_UTTERANCES, MAX_TEXT_CHARS, Timeline } from "./timeline.js";
export {
  type AskPolicy,
  type Call,
  type CallError,
  type CallOutcome,
  type CallResult,
  type CallState,
  type Duplicate,
  type Effect,
  type Executor,
  type Late,
  type Moved,
  type OnInterruption,
  type Refused,
  resultBytes,
  type Terminal,
  ToolUseError,
} from "./tool-calls.js";
export {
  KEPT_RESULT_BYTES,
  KEPT_RUNS,
  type Run,
  type RunLimits,
  ToolRuns,
} from "./tool-runs.js";
export {
  type CallRequest,
  KEPT_CALLS,
  MIN_TOKEN_BYTES,
  type Said,
  ToolCalls,
  type ToolCallsOptions,
} from "./tools.js";
export * as wire from "./wire.js";
