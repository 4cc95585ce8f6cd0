/** The enums of events: lower-case words, made of the schema's names; `unknown` for what is not
 * set, and for a value that this version does not know. */
import type * as errors from "./gen/voxwire/v1/error_pb.js";
import type * as metrics from "./gen/voxwire/v1/metrics_pb.js";
import type * as session from "./gen/voxwire/v1/session_pb.js";
import type * as signaling from "./gen/voxwire/v1/signaling_pb.js";
import type * as speech from "./gen/voxwire/v1/speech_pb.js";
import type * as tools from "./gen/voxwire/v1/tools_pb.js";
import type * as words from "./gen/voxwire/v1/words_pb.js";

/** The names of a generated enum, lower-case, without `unspecified`. */
export type EnumWords<E> = Exclude<Lowercase<Extract<keyof E, string>>, "unspecified">;

/** What the bot is doing, as the listener hears it. */
export type BotState = EnumWords<typeof speech.BotState> | "unknown";
/** What the user is doing. */
export type UserState = EnumWords<typeof speech.UserState> | "unknown";
/** Who cut the bot off. */
export type InterruptionSource = EnumWords<typeof speech.InterruptionSource> | "unknown";
/** Where the times of a word come from. */
export type TimingSource = EnumWords<typeof words.TimingSource> | "unknown";
/** How an utterance ended. */
export type UtteranceEnd = EnumWords<typeof words.UtteranceEnd> | "unknown";
/** How it is known what was heard. */
export type HeardSource = EnumWords<typeof words.HeardSource> | "unknown";
/** How a tool call ended. */
export type ToolOutcome = EnumWords<typeof tools.ToolOutcome> | "unknown";
/** Why a session ended. */
export type EndReason = EnumWords<typeof session.EndReason> | "unknown";
/** Who a turn belongs to. */
export type TurnRole = EnumWords<typeof session.TurnRole> | "unknown";
/** What carries the audio of a path. */
export type Carrier = EnumWords<typeof signaling.Carrier> | "unknown";
/** What a service metric measures. */
export type MetricKind = EnumWords<typeof metrics.MetricKind> | "unknown";
/** What went wrong, `error.proto` explains each; one that is not known is `internal`. */
export type ErrorCodeName = EnumWords<typeof errors.ErrorCode>;
/** What to do next; one that is not known is `none`. */
export type RecoveryActionName = EnumWords<typeof errors.RecoveryAction>;

/** Whether a session has its control channel; no message says it. */
export type ConnectionState = "connected" | "reconnecting";
