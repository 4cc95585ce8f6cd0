/** What our client says, as a stock bot understands it. */
import { codeFromWire } from "../errors.js";
import type { JsonValue } from "../json-text.js";
import type { AppMessage, ClientInfo, Envelope, SendText, ToolResult } from "../messages.js";
import type { TakenCalls } from "./calls.js";
import { isObject, LABEL, messageOf, RtviError, type RtviMessage } from "./message.js";
import { isAtLeast, RTVI_VERSION, type Version, versionText } from "./version.js";

/** A file for the model, by value or by address. */
export interface RtviFile {
  /** MIME type. */
  readonly mediaType: string;
  readonly name?: string;
  /** The bytes, in base64. */
  readonly base64?: string;
  /** Where the bytes are, when they are not given. */
  readonly url?: string;
  /** False = no answer is asked for; default true. */
  readonly runImmediately?: boolean | undefined;
  /** False = the answer is not spoken; default true. */
  readonly audioResponse?: boolean | undefined;
}

/** Writes what a client asks of a stock bot. */
export class BotRequests {
  readonly #calls: TakenCalls;
  readonly #newId: () => string;

  /**
   * @param calls - The bot's open tool calls.
   * @param newId - Makes the id of a message; unique in the session.
   */
  constructor(calls: TakenCalls, newId: () => string) {
    this.#calls = calls;
    this.#newId = newId;
  }

  /**
   * What the bot is told of an envelope; nothing of media, signaling and delivery.
   *
   * @param version - What the bot speaks; undefined = not known: then as the newest.
   * @throws RtviError "unsupported": the bot has no message for it (an interruption), or speaks a
   *   version that has none. Nothing is made up in its place.
   */
  write({ payload }: Envelope, version: Version = RTVI_VERSION): RtviMessage[] {
    switch (payload.case) {
      case "hello":
        return [this.clientReady(payload.value.client)];
      case "sendText":
        return [this.#sendText(payload.value, version)];
      case "appMessage":
        return this.#appMessage(payload.value, version);
      case "toolResult":
        return this.#toolResult(payload.value);
      case "toolCancel": {
        const error = { code: "cancelled", message: payload.value.reason };
        return this.#result(payload.value.callId, { error });
      }
      case "bye":
        return [this.#request("disconnect-bot", {})];
      case "interrupt":
        throw unsupported("that interrupts it");
      default:
        return [];
    }
  }

  /** The first message, once the carrier is up; a bot answers each with `bot-ready`. */
  clientReady(client?: ClientInfo): RtviMessage {
    const about: Record<string, string> = { library: client?.library || "voxwire" };
    if (client?.libraryVersion) about.library_version = client.libraryVersion;
    if (client?.platform) about.platform = client.platform;
    if (client?.platformVersion) about.platform_version = client.platformVersion;
    return this.#request("client-ready", { version: versionText(RTVI_VERSION), about });
  }

  /**
   * A file for the model, with text beside it (`send-file`). Whether the carrier takes a message
   * of that size is the caller's question.
   *
   * @throws RtviError "unsupported": the bot speaks a version before 2.2.
   */
  sendFile(text: string, file: RtviFile, version: Version = RTVI_VERSION): RtviMessage {
    if (!isAtLeast(version, 2, 2)) throw unsupported("to take files (RTVI 2.2)");
    const { mediaType: format, name, base64, url = "" } = file;
    const { runImmediately: run_immediately = true, audioResponse: audio_response = true } = file;
    const source = base64 === undefined ? { type: "url", url } : { type: "bytes", bytes: base64 };
    const said = { format, source, ...(name ? { name } : {}) };
    const plain = run_immediately && audio_response;
    const options = plain ? {} : { options: { run_immediately, audio_response } };
    return this.#request("send-file", { content: text, file: said, ...options });
  }

  #sendText(message: SendText, version: Version): RtviMessage {
    const { text: content, runImmediately: run_immediately = true } = message;
    if (!isAtLeast(version, 1, 1)) {
      return this.#request("append-to-context", { role: "user", content, run_immediately });
    }
    const options = { run_immediately, audio_response: message.audioResponse ?? true };
    return this.#request("send-text", { content, options });
  }

  #appMessage(message: AppMessage, version: Version): RtviMessage[] {
    const { type, dataJson, requestId, response } = message;
    const data = parsed(dataJson || "null");
    if (response) throw unsupported("to ask the client, so that there is nothing to answer");
    const raw = type === LABEL ? messageOf(data) : undefined;
    if (raw)
      return [raw.id === undefined ? { ...raw, id: this.#newId() } : { ...raw, text: dataJson }];
    const digits = isObject(data) ? data.digits : undefined;
    if (type === "dtmf" && !requestId && typeof digits === "string") {
      return this.#keys(Array.from(digits), version);
    }
    return [this.#request("client-message", { t: type, d: data }, requestId)];
  }

  #keys(buttons: string[], version: Version): RtviMessage[] {
    if (isAtLeast(version, 2, 1)) return [this.#request("dtmf", { buttons })];
    if (!isAtLeast(version, 2, 0)) throw unsupported("to take keys (RTVI 2.0)");
    return buttons.map((button) => this.#request("dtmf", { button }));
  }

  #toolResult({ callId, outcome }: ToolResult): RtviMessage[] {
    if (outcome.case === "error") {
      const error = { code: codeFromWire(outcome.value.code), message: outcome.value.reason };
      return this.#result(callId, { error });
    }
    const text = outcome.value || "null";
    const value = parsed(text);
    // Pipecat takes an object or a string, nothing else (`LLMFunctionCallResultData`).
    return this.#result(callId, isObject(value) || typeof value === "string" ? value : text);
  }

  #result(callId: string, result: JsonValue): RtviMessage[] {
    const known = this.#calls.end(callId);
    if (!known) return []; // the bot has ended the call
    const given = parsed(known.argumentsJson);
    const data = {
      function_name: known.name,
      tool_call_id: callId,
      arguments: isObject(given) ? given : {},
      result,
    };
    return [this.#request("llm-function-call-result", data)];
  }

  #request(type: string, data: JsonValue, messageId = ""): RtviMessage {
    return { type, data, id: messageId || this.#newId() };
  }
}

function unsupported(what: string): RtviError {
  return new RtviError("unsupported", `a stock bot of this version has no message ${what}`);
}

/** JSON of our own session; what is none is told as text. */
function parsed(text: string): JsonValue {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
