/** The enums of events: lower-case words, made of the schema's names; `unknown` for what is not
 * set, and for a value that this version does not know. */
import type * as messages from "./messages.js";

/** The names of a generated enum in lower case. */
type EnumWords<E> = Lowercase<Exclude<Extract<keyof E, string>, "UNSPECIFIED">> | "unknown";

/** What the bot is doing, as the listener hears it. */
export type BotState = EnumWords<typeof messages.BotState>;
/** What the user is doing. */
export type UserState = EnumWords<typeof messages.UserState>;
/** Who cut the bot off. */
export type InterruptionSource = EnumWords<typeof messages.InterruptionSource>;
/** Where the times of a word come from. */
export type TimingSource = EnumWords<typeof messages.TimingSource>;
/** How an utterance ended. */
export type UtteranceEnd = EnumWords<typeof messages.UtteranceEnd>;
/** How it is known what was heard. */
export type HeardSource = EnumWords<typeof messages.HeardSource>;
/** How a tool call ended. */
export type ToolOutcome = EnumWords<typeof messages.ToolOutcome>;
/** Why a session ended. */
export type EndReason = EnumWords<typeof messages.EndReason>;
/** Who a turn belongs to. */
export type TurnRole = EnumWords<typeof messages.TurnRole>;
/** What carries the audio of a path. */
export type Carrier = EnumWords<typeof messages.Carrier>;
/** What a service metric measures. */
export type MetricKind = EnumWords<typeof messages.MetricKind>;

/** Whether a session has its control channel; no message says it. */
export type ConnectionState = "connected" | "reconnecting";
