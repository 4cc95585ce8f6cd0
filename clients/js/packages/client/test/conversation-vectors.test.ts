/** The golden cases of protocol/vectors/conversation hold for the turn log. */
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { fromEnvelope, snapshotOf } from "../../protocol/src/event-codec.js";
import type { ClientEvents, TypedEvent } from "../../protocol/src/index.js";
import { readVectors } from "../../protocol/test/read-vectors.js";
import { EnvelopeSchema, SnapshotSchema } from "../../protocol/test/reference.js";
import type { LoggedToolCall, LoggedTurn, LoggedUtterance } from "../src/api.js";
import {
  EMPTY_LOG,
  type LogState,
  type OwnCall,
  reduce,
  type SessionOver,
} from "../src/core/conversation.js";

type Step = { readonly unchanged?: true } & (
  | { op: "begin" | "over" }
  | { op: "message" | "snapshot"; message: JsonValue }
  | { op: "word"; utterance_id: string; index: number }
  | { op: "own_call"; call_id: string }
  | { op: "own_progress"; call_id: string; message: string }
  | { op: "log"; turns: readonly object[]; skipped: number }
);

/** A field with its value, unless there is none. */
const known = (name: string, value: unknown) => (value === undefined ? {} : { [name]: value });

const utteranceJson = ({ words, ...utterance }: LoggedUtterance) => ({
  ...utterance,
  words: words.map(({ startMs, endMs, ...word }) => ({
    ...word,
    start_ms: startMs,
    end_ms: endMs,
  })),
});

const callJson = ({ durationMs, ...call }: LoggedToolCall) => ({
  ...call,
  ...known("duration_ms", durationMs),
});

function turnJson(turn: LoggedTurn): object {
  if (turn.role === "user") return turn;
  const { utterances, toolCalls, heardText, unheardText, ...same } = turn;
  return {
    ...same,
    utterances: utterances.map(utteranceJson),
    tool_calls: toolCalls.map(callJson),
    ...known("heard_text", heardText),
    ...known("unheard_text", unheardText),
  };
}

/** What a step tells the log; undefined for a message that is no event. */
function happened(
  step: Exclude<Step, { op: "log" }>,
): TypedEvent | OwnCall | SessionOver | undefined {
  switch (step.op) {
    case "begin":
      return { type: "sessionStarted", event: {} as ClientEvents["sessionStarted"] };
    case "over":
      return { type: "over" };
    case "message":
      return fromEnvelope(fromJson(EnvelopeSchema, step.message) as never);
    case "snapshot": {
      const snapshot = snapshotOf(fromJson(SnapshotSchema, step.message) as never);
      return { type: "eventsSkipped", event: { count: 0, unsent: 0, snapshot } };
    }
    case "word": {
      const word = { utteranceId: step.utterance_id, index: step.index };
      return { type: "botWord", event: word as ClientEvents["botWord"] };
    }
    case "own_call":
      return { type: "ownCall", event: { callId: step.call_id } };
    case "own_progress":
      return { type: "ownProgress", event: { callId: step.call_id, message: step.message } };
    default:
      throw new Error(`no such step: ${JSON.stringify(step satisfies never)}`);
  }
}

function after(state: LogState, step: Step): LogState {
  if (step.op === "log") {
    const { turns, skipped } = state.conversation;
    expect({ op: "log", turns: turns.map(turnJson), skipped }).toEqual(step);
    return state;
  }
  const event = happened(step);
  const next = event ? reduce(state, event) : state;
  if (step.unchanged) expect(next.conversation).toBe(state.conversation);
  return next;
}

test.each(readVectors<{ readonly steps: readonly Step[] }>("conversation"))(
  "%s",
  (_, { steps }) => {
    let state = EMPTY_LOG;
    for (const [at, step] of steps.entries()) {
      try {
        state = after(state, step);
      } catch (cause) {
        throw new Error(`step ${at}: ${JSON.stringify(step)}`, { cause });
      }
    }
  },
);
