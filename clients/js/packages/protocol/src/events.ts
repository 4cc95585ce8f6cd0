/**
 * Typed events: what a client tells its program, in place of wire messages.
 *
 * `fromEnvelope` makes them of what a server sends; `botWord`, `flushed`, `pathChanged`,
 * `connectionChanged` and `eventsSkipped` are made by the client itself, since they happen on its
 * side. Times are milliseconds, positions milliseconds of the media clock.
 */
import type { ErrorCode, RecoveryAction } from "./errors.js";
import type {
  BotState,
  EndReason,
  HeardSource,
  InterruptionSource,
  MetricKind,
  TimingSource,
  ToolOutcome,
  UserState,
  UtteranceEnd,
} from "./event-enums.js";
import type { ConnectionChanged, EventsSkipped, PathChanged } from "./events-connection.js";
import type { JsonValue } from "./json-text.js";

/** The session is up: the first event of every session. */
export interface SessionStarted {
  readonly sessionId: string;
  readonly bot: string;
  readonly server: string;
  readonly resumed: boolean;
  /** Phrases worth trying. */
  readonly examples: readonly string[];
}

/** The session is over: the last event of every session that ends in order. */
export interface SessionEnded {
  readonly reason: EndReason;
  readonly durationMs: number;
}

/** Where a client is that waits for a place. */
export interface Waiting {
  /** Place in the queue, from 1. */
  readonly position: number;
  /** About how long until there is a place, milliseconds; 0 = not known. */
  readonly estimatedMs: number;
}

/** The server will close this connection in `timeLeftMs`. */
export interface GoingAway {
  readonly reason: string;
  readonly timeLeftMs: number;
}

/** Somebody does something else now. Raised when the own speaker reaches `mediaMs`. */
export interface StateChanged {
  readonly bot: BotState;
  readonly user: UserState;
  /** Where on the media clock it took effect; 0 = at once. */
  readonly mediaMs: number;
  /** True while the bot does not listen to the user, by its own rules; the client's microphone has
   * no part in it. */
  readonly userMuted: boolean;
}

/** What the user said. Interim ones replace each other; the final one keeps the id. */
export interface UserTranscript {
  readonly text: string;
  readonly final: boolean;
  readonly transcriptId: string;
  readonly turnId: string;
  /** BCP 47 language tag; empty = unknown. */
  readonly language: string;
  readonly typed: boolean;
  /** How sure the recogniser is, 0 to 1; undefined = it does not say. */
  readonly confidence: number | undefined;
}

/** The language model starts a response. */
export interface BotResponseStarted {
  readonly responseId: string;
  readonly turnId: string;
}

/** More text of a response, as the model writes it; not what is heard. */
export interface BotResponseText {
  readonly responseId: string;
  readonly text: string;
}

/** The response is complete, or was cut. */
export interface BotResponseEnded {
  readonly responseId: string;
}

/** The bot will say something from `mediaMs` on; announced ahead of the sound. */
export interface UtteranceStarted {
  readonly utteranceId: string;
  readonly turnId: string;
  /** The response that it speaks; empty = text that no model wrote. */
  readonly responseId: string;
  readonly mediaMs: number;
  readonly source: TimingSource;
  readonly language: string;
}

/** A word of `UtteranceWords` with its absolute media-clock times. */
export interface PlacedWord {
  readonly index: number;
  readonly text: string;
  /** First character in the utterance's text, code points (`sliceCodePoints`). */
  readonly charStart: number;
  /** End, exclusive, code points. */
  readonly charEnd: number;
  readonly startMs: number;
  readonly endMs: number;
  /** True when the end was not measured. */
  readonly endEstimated: boolean;
}

/** Words of an utterance, ahead of the sound: what a caption shows before it is heard. */
export interface UtteranceWords {
  readonly utteranceId: string;
  /** Position of `text` in the utterance's text, code points. */
  readonly textOffset: number;
  readonly text: string;
  readonly words: readonly PlacedWord[];
  /** Higher replaces lower for the same index. */
  readonly revision: number;
  readonly source: TimingSource;
}

/** The own speaker reaches this word now. */
export interface BotWord {
  readonly utteranceId: string;
  /** Number of the word in the utterance, from 0. */
  readonly index: number;
  readonly text: string;
  /** First character in the utterance's text, code points. */
  readonly charStart: number;
  /** End, exclusive, code points. */
  readonly charEnd: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly source: TimingSource;
}

/** An utterance ended, as the listener heard it. */
export interface UtteranceEnded {
  readonly utteranceId: string;
  readonly end: UtteranceEnd;
  /** End of what was heard. */
  readonly heardMediaMs: number;
  /** End of the heard prefix of the text, code points. */
  readonly heardCharEnd: number;
  readonly heardWords: number;
  readonly heardSource: HeardSource;
}

/** The bot runs a tool. */
export interface ToolCallStarted {
  readonly callId: string;
  readonly name: string;
  /** undefined unless the server shows them. */
  readonly arguments: JsonValue | undefined;
  readonly responseId: string;
}

/** A tool call of the bot ended. */
export interface ToolCallEnded {
  readonly callId: string;
  readonly name: string;
  readonly outcome: ToolOutcome;
  /** undefined unless the server shows it. */
  readonly result: JsonValue | undefined;
  readonly durationMs: number;
}

/** The bot was cut off. */
export interface Interrupted {
  readonly source: InterruptionSource;
  readonly utteranceId: string;
}

/** The own speaker fell silent on the server's word: the last sound was before `mediaMs`. */
export interface Flushed {
  readonly mediaMs: number;
  readonly flushId: number;
  readonly untilMediaMs: number;
}

/** One measurement: milliseconds, tokens or characters, by `kind`. */
export interface ServiceMetric {
  readonly kind: MetricKind;
  readonly processor: string;
  readonly model: string;
  readonly value: number;
}

/** Measurements of the services behind the bot. */
export interface ServiceMetrics {
  readonly metrics: readonly ServiceMetric[];
}

/** How long the user waited in one turn, and for what (protocol/spec/metrics.md). The stages that
 * are not undefined follow each other without gaps and sum to `totalMs`; an older server gives the
 * first three fields alone. */
export interface TurnMetrics {
  readonly turnId: string;
  readonly responseMs: number;
  readonly playoutDelayMs: number;
  readonly vadMs: number | undefined;
  readonly sttMs: number | undefined;
  readonly turnMs: number | undefined;
  readonly llmMs: number | undefined;
  /** Lies within the model's stretch. */
  readonly toolMs: number | undefined;
  readonly ttsMs: number | undefined;
  readonly outputMs: number | undefined;
  readonly leadSilenceMs: number | undefined;
  /** From the end of the user's speech to the first audible sample. */
  readonly totalMs: number | undefined;
  readonly typed: boolean;
  readonly heardSource: HeardSource;
  readonly firstAudioMediaMs: number | undefined;
  /** In this client's own count of what it captured; only where the carrier has one. */
  readonly userStoppedCaptureMs: number | undefined;
  /** The server's clock as in `Ping` and `Pong`, microseconds. */
  readonly userStoppedServerUs: number | undefined;
}

/** A message of the application. */
export interface AppMessage {
  readonly type: string;
  readonly data: JsonValue | undefined;
  readonly requestId: string;
  readonly response: boolean;
}

/** Something went wrong; unless `fatal`, the session goes on. */
export interface ErrorEvent {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly retryable: boolean;
  readonly action: RecoveryAction;
  /** Time to wait before trying again; 0 = no advice. */
  readonly retryAfterMs: number;
  readonly fatal: boolean;
  /** What it is about (a call, a request); empty = the session. */
  readonly subjectId: string;
}

/** Everything that a session may raise, by type. */
export interface ClientEvents {
  sessionStarted: SessionStarted;
  sessionEnded: SessionEnded;
  goingAway: GoingAway;
  pathChanged: PathChanged;
  connectionChanged: ConnectionChanged;
  eventsSkipped: EventsSkipped;
  stateChanged: StateChanged;
  userTranscript: UserTranscript;
  botResponseStarted: BotResponseStarted;
  botResponseText: BotResponseText;
  botResponseEnded: BotResponseEnded;
  utteranceStarted: UtteranceStarted;
  utteranceWords: UtteranceWords;
  botWord: BotWord;
  utteranceEnded: UtteranceEnded;
  toolCallStarted: ToolCallStarted;
  toolCallEnded: ToolCallEnded;
  interrupted: Interrupted;
  flushed: Flushed;
  serviceMetrics: ServiceMetrics;
  turnMetrics: TurnMetrics;
  appMessage: AppMessage;
  error: ErrorEvent;
}

/** One of `ClientEvents` with its type, as `switch` likes it. */
export type TypedEvent<K extends keyof ClientEvents = keyof ClientEvents> = {
  [T in K]: { readonly type: T; readonly event: ClientEvents[T] };
}[K];
