/**
 * A stock Pipecat bot of our client: its messages as ours, ours as its.
 *
 * What a stock bot does not say is not made up: words have the moment of their arrival ("arrival"),
 * and how much was heard of what was cut off is what had arrived, with no source. What is lost on
 * the way, and why: protocol/spec/rtvi.md.
 */
import { envelope, type PayloadInit } from "../envelope.js";
import { VoxwireError } from "../errors.js";
import { dumpJson, type JsonValue } from "../json-text.js";
import { type Envelope, ErrorCode, RecoveryAction, ToolOutcome } from "../messages.js";
import { Arrivals } from "./arrivals.js";
import { BotFiles, type FileStep } from "./bot-files.js";
import { BotRequests } from "./bot-requests.js";
import { TakenCalls } from "./calls.js";
import { Fields } from "./fields.js";
import { encode, isObject, LABEL, RtviError, type RtviMessage } from "./message.js";
import { metricsFromRtvi } from "./metrics.js";
import { parseVersion, type Version } from "./version.js";

const MAX_REASON_CHARS = 500;
const MAX_DATA_BYTES = 65_536;

/** What a bot does in a session, by the names of RTVI 2.2; what is missing is not known. */
export interface BotCapabilities {
  readonly audio_in?: boolean;
  readonly audio_out?: boolean;
  readonly video_in?: boolean;
  readonly screen_in?: boolean;
  readonly video_out?: boolean;
  readonly metrics?: boolean;
}

const CAPABILITIES = [
  "audio_in",
  "audio_out",
  "video_in",
  "screen_in",
  "video_out",
  "metrics",
] as const;

export interface StockBotOptions {
  /** Makes the id of a message, from 8 hex digits to a UUID; unique in the session. */
  readonly newId: () => string;
  /** Names of the tools that this client runs. */
  readonly tools?: ReadonlySet<string>;
  /** Largest message that the carrier takes, which bounds the files that are sent to the bot
   * (`Welcome.accepts`); default 0 = no files. */
  readonly maxMessageBytes?: number;
}

/**
 * One stock bot of one session. The state, all of it bounded: the bot's version, names for what it
 * says, open tool calls, whether it sends `user-input`.
 */
export class StockBot {
  /** What the bot speaks; undefined until `bot-ready`, or when that names no version. */
  version: Version | undefined;
  /** What it does in this session. */
  capabilities: BotCapabilities = {};
  /** What it says of itself in `bot-ready`. */
  about: JsonValue | undefined;
  /** What only a stock bot is asked, such as to take a file. */
  readonly requests: BotRequests;
  readonly #tools: ReadonlySet<string>;
  readonly #files: BotFiles;
  readonly #arrivals = new Arrivals();
  readonly #calls = new TakenCalls();
  #tellsInput = false;

  constructor({ newId, tools = new Set(), maxMessageBytes = 0 }: StockBotOptions) {
    this.#tools = tools;
    this.requests = new BotRequests(this.#calls, newId);
    this.#files = new BotFiles(this.requests, maxMessageBytes);
  }

  /**
   * What the bot is told of an envelope of our client; see `BotRequests.write`.
   *
   * @throws RtviError "unsupported": the bot has no message for it.
   */
  write(message: Envelope): RtviMessage[] {
    return this.requests.write(message, this.version);
  }

  /** What comes of `fileBegin`, `filePiece` and `fileCancel`; `write` has nothing for them, since
   * the client has to be answered. */
  takeFile(message: Envelope): FileStep {
    return this.#files.take(message, this.version);
  }

  /**
   * Reads a message of the bot. What has no envelope comes whole, as `rawEnvelope`.
   *
   * @param mediaMs - Playout position of the client, milliseconds since the bot's first sample.
   * @throws RtviError "malformed": a member is missing or of the wrong type. The session goes on.
   */
  read(message: RtviMessage, mediaMs: number): Envelope[] {
    const arrivals = this.#arrivals;
    switch (message.type) {
      case "bot-ready":
        return this.#botReady(message);
      case "error":
        return this.#error(message);
      case "error-response":
        return this.#errorResponse(message);
      case "server-response":
        return this.#serverResponse(message);
      case "server-message":
        return this.#serverMessage(message);
      case "user-started-speaking":
        return arrivals.userStarted();
      case "user-stopped-speaking":
        return arrivals.userStopped();
      case "user-mute-started":
        return arrivals.userMuted(true);
      case "user-mute-stopped":
        return arrivals.userMuted(false);
      case "bot-started-speaking":
        return arrivals.botStarted(mediaMs);
      case "bot-stopped-speaking":
        return arrivals.botStopped(mediaMs, this.#isOld && arrivals.userSpeaks);
      case "bot-interrupted":
        return arrivals.interrupted(mediaMs);
      case "bot-tts-text":
        return arrivals.words(new Fields(message).text("text"), mediaMs);
      case "bot-output":
        return [rawEnvelope(message), ...arrivals.progress(message.data, mediaMs)];
      case "user-input":
        return this.#userInput(message);
      case "user-transcription":
        return this.#userTranscription(message);
      case "bot-llm-started":
        return arrivals.responseStarted();
      case "bot-llm-text":
        return arrivals.responseText(new Fields(message).text("text"));
      case "bot-llm-stopped":
        return arrivals.responseEnded();
      case "llm-function-call":
      case "llm-function-call-in-progress":
        return this.#called(message);
      case "llm-function-call-stopped":
        return this.#stopped(message);
      case "metrics":
        return this.#metrics(message);
      case "bot-tts-started":
        return arrivals.voiceStarted();
      case "bot-tts-stopped":
      case "llm-function-call-started": // it names no call; the next one does
        return [];
      default:
        return [rawEnvelope(message)];
    }
  }

  /**
   * What is over once another connection has taken the place of one that was lost.
   *
   * The ends of a response and of an utterance that were open were lost with it, and nobody is
   * known to speak. Calls stay open: their results are still wanted.
   *
   * @param mediaMs - As of `read`.
   */
  lost(mediaMs: number): Envelope[] {
    return this.#arrivals.lost(mediaMs);
  }

  /** The utterance whose end waits for words that the bot has announced; empty = none. */
  get lateUtteranceId(): string {
    return this.#arrivals.lateUtteranceId;
  }

  /** The end of that utterance, to be asked for when it has waited `LATE_MS`; `mediaMs` as of
   * `read`. */
  overdue(mediaMs: number): Envelope[] {
    return this.#arrivals.overdue(mediaMs);
  }

  /** Before 2.0 a bot says nothing when it is cut off; the user speaks, and it stops. */
  get #isOld(): boolean {
    return this.version !== undefined && this.version[0] < 2;
  }

  #botReady(message: RtviMessage): Envelope[] {
    const fields = new Fields(message);
    const said = fields.value("capabilities");
    const members = isObject(said) ? said : {};
    this.version = parseVersion(fields.value("version"));
    this.about = fields.value("about");
    this.capabilities = Object.fromEntries(
      CAPABILITIES.filter((name) => typeof members[name] === "boolean").map((name) => [
        name,
        members[name] === true,
      ]),
    );
    const accepts = this.#files.acceptance(this.version);
    const value = { protocolVersion: 1, epoch: 1, server: softwareOf(this.about), accepts };
    return [envelope({ case: "welcome", value }), ...this.#arrivals.ready()];
  }

  #error(message: RtviMessage): Envelope[] {
    const fields = new Fields(message);
    const fatal = fields.flag("fatal", false);
    const code = fatal ? ErrorCode.BOT_FAILED : ErrorCode.SERVICE_FAILED;
    return [failed(code, reasonOf(fields), { fatal })];
  }

  #errorResponse(message: RtviMessage): Envelope[] {
    const reason = reasonOf(new Fields(message));
    // pipecat RTVIProcessor
    const isUnknown = reason.startsWith("Unsupported type");
    const code = isUnknown ? ErrorCode.UNSUPPORTED : ErrorCode.SERVICE_FAILED;
    return [failed(code, reason, { subjectId: message.id ?? "" })];
  }

  #serverResponse(message: RtviMessage): Envelope[] {
    const fields = new Fields(message);
    const type = fields.text("t");
    const dataJson = dumped(message, fields.value("d"));
    const value = { type, dataJson, requestId: message.id ?? "", response: true };
    return [envelope({ case: "appMessage", value })];
  }

  #serverMessage(message: RtviMessage): Envelope[] {
    const { data } = message;
    // Our servers say {t, d}, stock ones anything.
    const isNamed =
      isObject(data) &&
      typeof data.t === "string" &&
      Object.keys(data).every((name) => name === "t" || name === "d");
    const type = isNamed ? String(data.t) : "server-message";
    const dataJson = dumped(message, isNamed ? data.d : data);
    return [envelope({ case: "appMessage", value: { type, dataJson } })];
  }

  #userInput(message: RtviMessage): Envelope[] {
    const fields = new Fields(message);
    const kind = fields.text("input_type");
    if (kind !== "transcription" && kind !== "chat") return [rawEnvelope(message)];
    this.#tellsInput ||= kind === "transcription";
    return this.#arrivals.transcript(fields.text("text"), fields.flag("final"), kind === "chat");
  }

  #userTranscription(message: RtviMessage): Envelope[] {
    const fields = new Fields(message);
    const text = fields.text("text");
    const final = fields.flag("final");
    // A 2.2 bot says the same twice.
    return this.#tellsInput ? [] : this.#arrivals.transcript(text, final, false);
  }

  #called(message: RtviMessage): Envelope[] {
    const fields = new Fields(message);
    const isFirst = message.type === "llm-function-call";
    const callId = fields.text("tool_call_id");
    const name = fields.text("function_name", isFirst ? undefined : "");
    if (this.#calls.has(callId)) return [];
    const given = (isFirst ? fields.value("args") : undefined) ?? fields.value("arguments");
    const shown = given === undefined ? "" : dumped(message, given);
    const argumentsJson = shown || "{}";
    this.#calls.take(callId, { name, argumentsJson });
    const value = { callId, name, argumentsJson: shown };
    const told = [envelope({ case: "toolCallStarted", value })];
    if (this.#tools.has(name)) {
      told.push(envelope({ case: "toolRequest", value: { callId, name, argumentsJson } }));
    }
    return told;
  }

  #stopped(message: RtviMessage): Envelope[] {
    const fields = new Fields(message);
    const callId = fields.text("tool_call_id");
    const cancelled = fields.flag("cancelled", false);
    const result = fields.value("result");
    const known = this.#calls.end(callId);
    const name = fields.text("function_name", known?.name ?? "");
    const outcome = cancelled ? ToolOutcome.CANCELLED : ToolOutcome.DONE;
    const resultJson = result === undefined ? "" : dumped(message, result);
    const ended = envelope({ case: "toolCallEnded", value: { callId, name, outcome, resultJson } });
    if (!known || !this.#tools.has(name)) return [ended];
    const reason = "the bot has ended the call"; // ours may still run
    return [envelope({ case: "toolCancel", value: { callId, reason } }), ended];
  }

  #metrics(message: RtviMessage): Envelope[] {
    const { measured, isMore } = metricsFromRtvi(message.data);
    const told: Envelope[] = [];
    if (measured.metrics.length > 0) {
      told.push(envelope({ case: "serviceMetrics", value: measured }));
    }
    if (isMore) told.push(rawEnvelope(message));
    return told;
  }
}

/** A message as it is, in an `AppMessage` of type "rtvi-ai": nothing of it is lost. */
function rawEnvelope(message: RtviMessage): Envelope {
  return envelope({ case: "appMessage", value: { type: LABEL, dataJson: encode(message) } });
}

function failed(
  code: ErrorCode,
  reason: string,
  about: { readonly fatal?: boolean; readonly subjectId?: string },
): Envelope {
  const value: Extract<PayloadInit, { case: "error" }>["value"] = {
    code,
    reason: Array.from(reason).slice(0, MAX_REASON_CHARS).join("") || "the bot gave no reason",
    action: RecoveryAction.NONE,
    ...about,
  };
  return envelope({ case: "error", value });
}

/** Documents and client-js say `message`, pipecat says `error`. */
function reasonOf(fields: Fields): string {
  return fields.text("error", fields.text("message", ""));
}

/** Library and version, as `bot-ready.about` names them. */
function softwareOf(about: JsonValue | undefined): string {
  if (!isObject(about)) return "";
  const names = [about.library, about.library_version].filter((name) => typeof name === "string");
  return Array.from(names.join(" ")).slice(0, MAX_REASON_CHARS).join("");
}

function dumped(message: RtviMessage, data: unknown): string {
  try {
    return dumpJson(data, { maxBytes: MAX_DATA_BYTES });
  } catch (error) {
    if (!(error instanceof VoxwireError)) throw error;
    throw new RtviError(error.code, `${message.type}: ${error.reason}`, message.id);
  }
}
