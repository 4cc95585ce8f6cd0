/** Events from wire messages, by the tables of the schema. */
import { codePointsOf } from "./code-points.js";
import type { Field, Message, MessageSchema } from "./codec.js";
import { enumWord } from "./enum-words.js";
import type { BotState, UserState } from "./event-enums.js";
import type { ClientEvents, PlacedWord, TypedEvent } from "./events.js";
import type { Snapshot } from "./events-connection.js";
import type { JsonValue } from "./json-text.js";
import {
  BotStateSchema,
  type Envelope,
  EnvelopeSchema,
  SnapshotSchema,
  UserStateSchema,
  type Snapshot as WireSnapshot,
  type UtteranceWords as WireWords,
} from "./messages.js";
import type { PayloadCase } from "./payloads.js";

/** Is told of a field whose JSON is broken, as `appMessage.data`; the event has undefined there. */
export type OnBroken = (field: string) => void;
type EventType = keyof ClientEvents;
type FieldNames<K extends EventType> = { readonly [F in keyof ClientEvents[K]]-?: 1 };
interface Row<K extends EventType = EventType> {
  readonly type: K;
  /** What of the message the program sees. `x` is the field `x`, or `xJson` decoded. */
  readonly fields: { readonly [name: string]: 1 };
}

function row<K extends EventType>(type: K, fields: FieldNames<K>): Row<K> {
  return { type, fields };
}

/** Payloads that become events. Fields that are not named (tokens, tracks) stay inside. */
export const EVENT_OF_PAYLOAD = {
  welcome: row("sessionStarted", { sessionId: 1, bot: 1, server: 1, resumed: 1, examples: 1 }),
  sessionEnded: row("sessionEnded", { reason: 1, durationMs: 1 }),
  goAway: row("goingAway", { reason: 1, timeLeftMs: 1 }),
  stateChanged: row("stateChanged", { bot: 1, user: 1, mediaMs: 1, userMuted: 1 }),
  transcript: row("userTranscript", {
    text: 1,
    final: 1,
    transcriptId: 1,
    turnId: 1,
    language: 1,
    typed: 1,
    confidence: 1,
  }),
  responseStarted: row("botResponseStarted", { responseId: 1, turnId: 1 }),
  responseText: row("botResponseText", { responseId: 1, text: 1 }),
  responseEnded: row("botResponseEnded", { responseId: 1 }),
  utteranceStarted: row("utteranceStarted", {
    utteranceId: 1,
    turnId: 1,
    responseId: 1,
    mediaMs: 1,
    source: 1,
    language: 1,
  }),
  utteranceWords: row("utteranceWords", {
    utteranceId: 1,
    textOffset: 1,
    text: 1,
    words: 1,
    revision: 1,
    source: 1,
  }),
  utteranceEnded: row("utteranceEnded", {
    utteranceId: 1,
    end: 1,
    heardMediaMs: 1,
    heardCharEnd: 1,
    heardWords: 1,
    heardSource: 1,
  }),
  toolCallStarted: row("toolCallStarted", { callId: 1, name: 1, arguments: 1, responseId: 1 }),
  toolCallEnded: row("toolCallEnded", {
    callId: 1,
    name: 1,
    outcome: 1,
    result: 1,
    durationMs: 1,
  }),
  interrupted: row("interrupted", { source: 1, utteranceId: 1 }),
  serviceMetrics: row("serviceMetrics", { metrics: 1 }),
  turnMetrics: row("turnMetrics", {
    turnId: 1,
    responseMs: 1,
    playoutDelayMs: 1,
    vadMs: 1,
    sttMs: 1,
    turnMs: 1,
    llmMs: 1,
    toolMs: 1,
    ttsMs: 1,
    outputMs: 1,
    leadSilenceMs: 1,
    totalMs: 1,
    typed: 1,
    heardSource: 1,
    firstAudioMediaMs: 1,
    userStoppedCaptureMs: 1,
    userStoppedServerUs: 1,
  }),
  appMessage: row("appMessage", { type: 1, data: 1, requestId: 1, response: 1 }),
  error: row("error", {
    code: 1,
    reason: 1,
    retryable: 1,
    action: 1,
    retryAfterMs: 1,
    fatal: 1,
    subjectId: 1,
  }),
} as const satisfies { readonly [P in PayloadCase]?: Row };

const ROWS: { readonly [P in PayloadCase]?: Row } = EVENT_OF_PAYLOAD;

/** Decodes JSON from the peer, frozen; undefined when there is none or it is not JSON. */
function decodeJson(text: string, onBroken: () => void): JsonValue | undefined {
  if (text === "") return undefined;
  try {
    return JSON.parse(text, (_, value) => Object.freeze(value)) as JsonValue;
  } catch {
    onBroken();
    return undefined;
  }
}

function plainValue(field: Field, value: unknown): unknown {
  if (field.repeated) {
    const { message } = field;
    const items = value as readonly unknown[];
    return Object.freeze(items.map((item) => (message ? plainMessage(message, item) : item)));
  }
  if (field.enum) return enumWord(field.enum, value as number);
  return typeof value === "bigint" ? Number(value) : value;
}

/** A frozen copy of a message with the named fields, or all: enums as words, numbers for bigint. */
function plainMessage<T extends Message>(
  { fields }: MessageSchema<T>,
  message: unknown,
  names: readonly string[] = fields.map((field) => field.name),
  onBroken?: OnBroken,
): object {
  const from = message as Readonly<Record<string, unknown>>;
  const plain: Record<string, unknown> = {};
  for (const name of names) {
    const field = fields.find((one) => one.name === name);
    plain[name] = field
      ? plainValue(field, from[name])
      : decodeJson(from[`${name}Json`] as string, () => onBroken?.(name));
  }
  return Object.freeze(plain);
}

/** The words of a message, cut out of its text. */
function placedWords(message: WireWords): readonly PlacedWord[] {
  const text = codePointsOf(message.text);
  const baseMs = Number(message.baseMediaMs);
  const at = (position: number) => Math.max(0, position - message.textOffset);
  const words = message.words.map((word, number) =>
    Object.freeze({
      index: message.firstIndex + number,
      text: text.slice(at(word.charStart), at(word.charEnd)),
      charStart: word.charStart,
      charEnd: word.charEnd,
      startMs: baseMs + word.startMs,
      endMs: baseMs + word.endMs,
      endEstimated: word.endEstimated,
    }),
  );
  return Object.freeze(words);
}

/**
 * The event that an envelope of a server stands for. Never throws.
 *
 * @returns undefined for media, signaling, acks and what else the session handles itself.
 */
export function fromEnvelope(envelope: Envelope, onBroken?: OnBroken): TypedEvent | undefined {
  const payload = envelope.payload;
  const row = payload.case && ROWS[payload.case];
  const schema = EnvelopeSchema.fields.find((field) => field.name === payload.case)?.message;
  if (!row || !schema) return undefined;
  const names = Object.keys(row.fields);
  const report = onBroken && ((name: string) => onBroken(`${row.type}.${name}`));
  let event = plainMessage(schema, payload.value, names, report);
  if (payload.case === "utteranceWords") {
    event = Object.freeze({ ...event, words: placedWords(payload.value) });
  }
  return Object.freeze({ type: row.type, event }) as TypedEvent;
}

/** The typed copy of a snapshot. */
export function snapshotOf(message: WireSnapshot): Snapshot {
  const state = message.state;
  const plain = plainMessage(SnapshotSchema, message, ["turns", "heardMediaMs", "userMuted"]);
  return Object.freeze({
    ...(plain as Pick<Snapshot, "turns" | "heardMediaMs" | "userMuted">),
    utteranceId: message.utterance?.utteranceId ?? "",
    callIds: Object.freeze(message.toolCalls.map((call) => call.callId)),
    bot: enumWord<BotState>(BotStateSchema, state?.bot ?? 0),
    user: enumWord<UserState>(UserStateSchema, state?.user ?? 0),
  });
}
