/** The turn log as the server tells it: a pure reducer over events. What does not change keeps its
 * identity, so that a page draws only what did. */
import {
  type ClientEvents,
  joinTexts,
  type Snapshot,
  type ToolCallEnded,
  type ToolCallStarted,
  type TypedEvent,
  type UserTranscript,
} from "@voxwire/protocol";
import type { Conversation, LoggedToolCall, LoggedTurn, LoggedUtterance } from "../api.js";
import { cutShort, ended, withHeard, withWords } from "./logged-utterance.js";

/** Turns that are kept; the oldest go first. */
export const MAX_TURNS = 500;
const MAX_OWN_CALLS = 256;
/** Turns of the user that pieces may still come for. */
const MAX_SAID = 8;

type UserTurn = Extract<LoggedTurn, { role: "user" }>;
type BotTurn = Extract<LoggedTurn, { role: "bot" }>;

/** What is known beside the log itself. */
export interface LogState {
  readonly conversation: Conversation;
  /** Pieces of what the user says, by turn. */
  readonly said: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** The last turn that the bot wrote or spoke in, or is to answer, and which turn a response
   * belongs to; one that only calls tools is not announced. */
  readonly botTurnId: string;
  readonly turnOf: ReadonlyMap<string, string>;
  /** Calls that this client was asked to run. */
  readonly own: ReadonlySet<string>;
}

/** What this client knows by itself about a call that it runs. */
export type OwnCall =
  | { readonly type: "ownCall"; readonly event: { readonly callId: string } }
  | {
      readonly type: "ownProgress";
      readonly event: { readonly callId: string; readonly message: string };
    };

/** The session is over, whoever ended it; nothing is told of it any more. */
export interface SessionOver {
  readonly type: "over";
}

export const EMPTY_LOG: LogState = {
  conversation: { turns: [], skipped: 0 },
  said: new Map(),
  botTurnId: "t0",
  turnOf: new Map(),
  own: new Set(),
};

const OUTCOMES = {
  done: "done",
  failed: "failed",
  cancelled: "cancelled",
  timed_out: "timed_out",
  lost: "lost",
  unknown: "failed",
} as const;

/** The log after an event. */
export function reduce(state: LogState, happened: TypedEvent | OwnCall | SessionOver): LogState {
  if (happened.type === "over") return closed(state);
  const { event, type } = happened as { type: string; event: never };
  const step = STEPS[type as keyof typeof STEPS] as
    | ((state: LogState, event: never) => LogState)
    | undefined;
  return step ? step(state, event) : state;
}

type Steps = {
  readonly [K in keyof ClientEvents]?: (state: LogState, event: ClientEvents[K]) => LogState;
} & {
  readonly [K in OwnCall["type"]]: (
    state: LogState,
    event: Extract<OwnCall, { type: K }>["event"],
  ) => LogState;
};

const STEPS: Steps = {
  sessionStarted: () => EMPTY_LOG,
  eventsSkipped: (state, event) => (event.snapshot ? restored(state, event.snapshot) : state),
  userTranscript: said,
  botResponseStarted: (state, { responseId, turnId }) => ({
    ...state,
    botTurnId: turnId || state.botTurnId,
    turnOf: new Map([...state.turnOf].slice(-64)).set(responseId, turnId),
  }),
  utteranceStarted(state, { utteranceId, turnId }) {
    if (state.conversation.turns.some((turn) => utteranceOf(turn, utteranceId))) return state;
    const utterance: LoggedUtterance = { id: utteranceId, words: [], text: "", end: "speaking" };
    return inBotTurn({ ...state, botTurnId: turnId }, turnId, (turn) => ({
      ...turn,
      utterances: [...turn.utterances, utterance],
    }));
  },
  utteranceWords: (state, event) =>
    inUtterance(state, event.utteranceId, (one) => withWords(one, event)),
  botWord: (state, event) => inUtterance(state, event.utteranceId, (one) => withHeard(one, event)),
  utteranceEnded: (state, event) =>
    inUtterance(state, event.utteranceId, (one) => ended(one, event), event.end === "interrupted"),
  interrupted: (state, { utteranceId }) => inUtterance(state, utteranceId, (one) => one, true),
  toolCallStarted: called,
  toolCallEnded: (state, event) => inCall(state, event.callId, (call) => over(call, event)),
  ownCall: (state, { callId }) =>
    inCall(
      { ...state, own: new Set([...state.own, callId].slice(-MAX_OWN_CALLS)) },
      callId,
      (call) => ({ ...call, own: true }),
    ),
  ownProgress: (state, { callId, message }) =>
    inCall(state, callId, (call) => ({ ...call, progress: message })),
};

function withTurns(state: LogState, turns: readonly LoggedTurn[]): LogState {
  return { ...state, conversation: { ...state.conversation, turns: turns.slice(-MAX_TURNS) } };
}

/** Replaces one turn; the log stays what it is when the turn does. */
function replaced(state: LogState, at: number, next: LoggedTurn): LogState {
  const { turns } = state.conversation;
  return turns[at] === next ? state : withTurns(state, turns.with(at, next));
}

function said(state: LogState, event: UserTranscript): LogState {
  const { turnId, transcriptId, text } = event;
  const pieces = new Map([...(state.said.get(turnId) ?? []), [transcriptId, text]]);
  const id = `${turnId}:user`;
  const turns = state.conversation.turns;
  const at = turns.findLastIndex((turn) => turn.id === id);
  const turn: UserTurn = {
    id,
    role: "user",
    text: [...pieces.values()].reduce(joinTexts, ""),
    final: event.final,
    typed: event.typed,
  };
  const botTurnId = event.final ? turnId : state.botTurnId;
  const said = new Map([...state.said].slice(-MAX_SAID)).set(turnId, pieces);
  const next = { ...state, botTurnId, said };
  return withTurns(next, at < 0 ? [...turns, turn] : turns.with(at, turn));
}

/** Changes the bot's turn of that name; there is one afterwards. */
function inBotTurn(state: LogState, turnId: string, change: (turn: BotTurn) => BotTurn): LogState {
  const id = `${turnId}:bot`;
  const { turns } = state.conversation;
  const at = turns.findLastIndex((turn) => turn.id === id);
  const turn = turns[at];
  if (turn?.role === "bot") return replaced(state, at, change(turn));
  const fresh: BotTurn = { id, role: "bot", utterances: [], toolCalls: [], interrupted: false };
  return withTurns(state, [...turns, change(fresh)]);
}

function utteranceOf(turn: LoggedTurn, id: string): LoggedUtterance | undefined {
  return turn.role === "bot" ? turn.utterances.find((one) => one.id === id) : undefined;
}

function inUtterance(
  state: LogState,
  id: string,
  change: (utterance: LoggedUtterance) => LoggedUtterance,
  interrupted = false,
): LogState {
  const { turns } = state.conversation;
  const at = turns.findLastIndex((turn) => utteranceOf(turn, id));
  const turn = turns[at];
  if (turn?.role !== "bot") return state;
  const number = turn.utterances.findIndex((one) => one.id === id);
  const before = turn.utterances[number];
  if (before === undefined) return state;
  const after = change(before);
  if (after === before && (!interrupted || turn.interrupted)) return state;
  return replaced(state, at, {
    ...turn,
    utterances: after === before ? turn.utterances : turn.utterances.with(number, after),
    interrupted: turn.interrupted || interrupted,
  });
}

function called(state: LogState, event: ToolCallStarted): LogState {
  const { callId, name, responseId } = event;
  if (state.conversation.turns.some((turn) => callAt(turn, callId) >= 0)) return state;
  const turnId = turnOfCall(state, responseId);
  const call: LoggedToolCall = {
    id: callId,
    name,
    status: "running",
    own: state.own.has(callId),
    ...(event.arguments === undefined ? {} : { args: event.arguments }),
  };
  return inBotTurn(state, turnId, (turn) => ({ ...turn, toolCalls: [...turn.toolCalls, call] }));
}

/** A call is often announced ahead of the response that asks for it: then it answers the user. */
function turnOfCall(state: LogState, responseId: string): string {
  const last = state.conversation.turns.at(-1);
  if (last?.role === "user") return last.id.replace(/:user$/, "");
  return state.turnOf.get(responseId) || state.botTurnId;
}

function over(call: LoggedToolCall, event: ToolCallEnded): LoggedToolCall {
  const { outcome, durationMs, result } = event;
  const status = OUTCOMES[outcome];
  return { ...call, status, durationMs, ...(result === undefined ? {} : { result }) };
}

function callAt(turn: LoggedTurn, id: string): number {
  return turn.role === "bot" ? turn.toolCalls.findIndex((call) => call.id === id) : -1;
}

function inCall(
  state: LogState,
  id: string,
  change: (call: LoggedToolCall) => LoggedToolCall,
): LogState {
  const { turns } = state.conversation;
  const at = turns.findLastIndex((turn) => callAt(turn, id) >= 0);
  const turn = turns[at];
  if (turn?.role !== "bot") return state;
  const number = callAt(turn, id);
  const call = turn.toolCalls[number];
  if (call === undefined) return state;
  return replaced(state, at, { ...turn, toolCalls: turn.toolCalls.with(number, change(call)) });
}

/** Nothing is left open in a log that nothing is added to any more. */
function closed(state: LogState): LogState {
  const turns = state.conversation.turns.map((turn) => {
    if (turn.role === "user") return turn.final ? turn : { ...turn, final: true };
    const speaks = turn.utterances.some((one) => one.end === "speaking");
    const runs = turn.toolCalls.some((call) => call.status === "running");
    if (!speaks && !runs) return turn;
    return {
      ...turn,
      utterances: speaks ? turn.utterances.map(cutShort) : turn.utterances,
      toolCalls: runs ? turn.toolCalls.map(givenUp) : turn.toolCalls,
      interrupted: turn.interrupted || speaks,
    };
  });
  const same = turns.every((turn, at) => turn === state.conversation.turns[at]);
  return same ? state : withTurns(state, turns);
}

function givenUp(call: LoggedToolCall): LoggedToolCall {
  return call.status === "running" ? { ...call, status: "cancelled" } : call;
}

/** What a snapshot says takes the place of everything; what goes on is told again behind it. */
function restored(state: LogState, snapshot: Snapshot): LogState {
  const turns: LoggedTurn[] = [];
  for (const { turnId, role, text, unheardText } of snapshot.turns) {
    const id = `${turnId}:${role === "user" ? "user" : "bot"}`;
    const at = turns.findLastIndex((turn) => turn.id === id);
    const same = turns[at];
    if (role === "user") {
      const whole = joinTexts(same?.role === "user" ? same.text : "", text);
      const turn: UserTurn = { id, role, text: whole, final: true, typed: false };
      turns.splice(at < 0 ? turns.length : at, at < 0 ? 0 : 1, turn);
    } else {
      const before = same?.role === "bot" ? same : undefined;
      const turn: BotTurn = {
        id,
        role: "bot",
        utterances: [],
        toolCalls: [],
        interrupted: unheardText !== "" || before?.interrupted === true,
        heardText: joinTexts(before?.heardText ?? "", text),
        unheardText: joinTexts(before?.unheardText ?? "", unheardText),
      };
      turns.splice(at < 0 ? turns.length : at, at < 0 ? 0 : 1, turn);
    }
  }
  const skipped = state.conversation.skipped + 1;
  return { ...state, conversation: { turns, skipped } };
}
