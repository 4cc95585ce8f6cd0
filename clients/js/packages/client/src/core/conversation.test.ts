import type { ClientEvents, TypedEvent } from "@voxwire/protocol";
import { expect, test } from "vitest";
import { EMPTY_LOG, type LogState, MAX_TURNS, type OwnCall, reduce } from "./conversation.js";

type Happened = TypedEvent | OwnCall;

const transcript = (
  text: string,
  more: Partial<ClientEvents["userTranscript"]> = {},
): Happened => ({
  type: "userTranscript",
  event: {
    ...{ text, final: true, transcriptId: "s1", turnId: "t1", language: "", typed: false },
    ...more,
  },
});
const started = (utteranceId: string, turnId = "t1"): Happened => ({
  type: "utteranceStarted",
  event: { utteranceId, turnId, responseId: "r1", mediaMs: 0, source: "estimated", language: "" },
});
const words = (utteranceId: string, text: string, first = 0, textOffset = 0): Happened => ({
  type: "utteranceWords",
  event: {
    ...{ utteranceId, text, textOffset, revision: 0, source: "estimated" },
    words: text.split(" ").map((word, number) => ({
      ...{ index: first + number, text: word, charStart: 0, charEnd: 0, endEstimated: false },
      ...{ startMs: 100 * (first + number), endMs: 100 * (first + number) + 90 },
    })),
  },
});
const heard = (utteranceId: string, index: number): Happened => ({
  type: "botWord",
  event: {
    ...{ utteranceId, index, text: "", charStart: 0, charEnd: 0 },
    ...{ startMs: 0, endMs: 0, source: "estimated" },
  },
});
const ended = (
  utteranceId: string,
  end: ClientEvents["utteranceEnded"]["end"],
  heardWords: number,
): Happened => ({
  type: "utteranceEnded",
  event: { utteranceId, end, heardWords, heardMediaMs: 0, heardCharEnd: 0, heardSource: "unknown" },
});

function log(...happened: Happened[]): LogState {
  return happened.reduce(reduce, EMPTY_LOG);
}
const turnsOf = (state: LogState) => state.conversation.turns;
const statesOf = (state: LogState) =>
  turnsOf(state).flatMap((turn) =>
    turn.role === "bot" ? turn.utterances.flatMap((one) => one.words.map((it) => it.state)) : [],
  );

test("pieces of Chinese or Japanese have no space between them", () => {
  const state = log(transcript("您好。"), transcript("今天天气怎么样", { transcriptId: "s2" }));
  expect(turnsOf(state)).toMatchObject([{ role: "user", text: "您好。今天天气怎么样" }]);
});

test("pieces of what the user says become one turn, and interim ones replace each other", () => {
  const state = log(
    transcript("what is", { final: false }),
    transcript("what is the"),
    transcript("weather", { transcriptId: "s2" }),
  );
  expect(turnsOf(state)).toEqual([
    { id: "t1:user", role: "user", text: "what is the weather", final: true, typed: false },
  ]);
});

test("words are unheard, heard by this speaker, cut where the server says so", () => {
  const said = [started("u1"), words("u1", "one two"), words("u1", "three four", 2, 8)];
  const speaking = log(...said, heard("u1", 0), heard("u1", 1));
  expect(statesOf(speaking)).toEqual(["heard", "heard", "unheard", "unheard"]);
  const cut = reduce(speaking, ended("u1", "interrupted", 1));
  expect(statesOf(cut)).toEqual(["heard", "cut", "cut", "cut"]);
  expect(turnsOf(cut)).toMatchObject([
    {
      id: "t1:bot",
      interrupted: true,
      utterances: [{ text: "one two three four", end: "interrupted" }],
    },
  ]);
  expect(statesOf(reduce(speaking, ended("u1", "completed", 4)))).toEqual(Array(4).fill("heard"));
  const silent = log(...said, ended("u1", "interrupted", 0));
  expect(turnsOf(silent)).toMatchObject([{ utterances: [{ end: "unheard" }] }]);
});

test("words that come twice, late or for nobody change nothing", () => {
  const state = log(started("u1"), words("u1", "one two"), heard("u1", 0));
  expect(reduce(state, heard("u1", 0))).toBe(state);
  expect(reduce(state, heard("u9", 0))).toBe(state);
  expect(reduce(state, started("u1"))).toBe(state);
  expect(statesOf(reduce(state, words("u1", "one two")))).toEqual(["heard", "unheard"]);
  expect(reduce(state, { type: "goingAway", event: { reason: "", timeLeftMs: 0 } })).toBe(state);
});

test("what does not change keeps its identity", () => {
  const state = log(transcript("hi"), started("u1"), words("u1", "one two"), started("u2"));
  const next = reduce(state, heard("u1", 0));
  const [user, bot] = turnsOf(state);
  const [userAfter, botAfter] = turnsOf(next);
  expect(userAfter).toBe(user);
  expect(botAfter).not.toBe(bot);
  if (bot?.role !== "bot" || botAfter?.role !== "bot") throw new Error("no turn of the bot");
  expect(botAfter.utterances[1]).toBe(bot.utterances[1]);
  expect(botAfter.utterances[0]?.words[1]).toBe(bot.utterances[0]?.words[1]);
});

test("tool calls stand in the turn whose response asked for them, the client's own marked", () => {
  const state = log(
    { type: "botResponseStarted", event: { responseId: "r1", turnId: "t7" } },
    { type: "ownCall", event: { callId: "c1" } },
    {
      type: "toolCallStarted",
      event: { callId: "c1", name: "map", arguments: { city: "Rome" }, responseId: "r1" },
    },
    { type: "ownProgress", event: { callId: "c1", message: "half way" } },
    {
      type: "toolCallStarted",
      event: { callId: "c2", name: "weather", arguments: undefined, responseId: "" },
    },
    {
      type: "toolCallEnded",
      event: { callId: "c1", name: "map", outcome: "timed_out", result: undefined, durationMs: 9 },
    },
  );
  expect(turnsOf(state)).toEqual([
    {
      ...{ id: "t7:bot", role: "bot", utterances: [], interrupted: false },
      toolCalls: [
        {
          ...{ id: "c1", name: "map", args: { city: "Rome" }, own: true, progress: "half way" },
          ...{ status: "timed_out", durationMs: 9 },
        },
        { id: "c2", name: "weather", status: "running", own: false },
      ],
    },
  ]);
});

test("a snapshot takes the place of the log, and a new session of everything", () => {
  const turn = { turnId: "t1", role: "bot" as const, text: "one", unheardText: "two" };
  const state = log(transcript("lost"), {
    type: "eventsSkipped",
    event: {
      ...{ count: 0, unsent: 0 },
      snapshot: {
        turns: [
          { ...turn, role: "user", text: "hi", unheardText: "" },
          { ...turn, text: "zero", unheardText: "" },
          turn,
        ],
        ...{ utteranceId: "", heardMediaMs: 0, callIds: [], bot: "idle", user: "silent" },
        userMuted: false,
      },
    },
  });
  expect(state.conversation).toEqual({
    skipped: 1,
    turns: [
      { id: "t1:user", role: "user", text: "hi", final: true, typed: false },
      {
        ...{ id: "t1:bot", role: "bot", utterances: [], toolCalls: [], interrupted: true },
        ...{ heardText: "zero one", unheardText: "two" },
      },
    ],
  });
  const fresh = { sessionId: "s", bot: "", server: "", resumed: false, examples: [] };
  expect(reduce(state, { type: "sessionStarted", event: fresh })).toBe(EMPTY_LOG);
});

test("the oldest turns go first", () => {
  let state = EMPTY_LOG;
  for (let number = 0; number < MAX_TURNS + 5; number++) {
    state = reduce(state, transcript("x", { turnId: `t${number}` }));
  }
  expect(turnsOf(state)).toHaveLength(MAX_TURNS);
  expect(turnsOf(state)[0]?.id).toBe("t5:user");
});

test("a session that ends in mid-sentence leaves nothing open in the log", () => {
  const before = log(
    started("u0"),
    words("u0", "Good day."),
    ended("u0", "completed", 2),
    started("u1"),
    words("u1", "one two three"),
    heard("u1", 0),
    started("u2"),
    words("u2", "four"),
    transcript("wait", { turnId: "t2", final: false }),
  );
  const after = reduce(before, { type: "over" });
  expect(statesOf(after)).toEqual(["heard", "heard", "heard", "cut", "cut", "cut"]);
  expect(turnsOf(after)).toMatchObject([
    {
      interrupted: true,
      utterances: [{ end: "completed" }, { end: "interrupted" }, { end: "unheard" }],
    },
    { text: "wait", final: true },
  ]);
  expect(reduce(after, { type: "over" })).toBe(after);
});

test("a note that is typed between pieces of speech is a turn of its own", () => {
  const state = log(
    transcript("what is", { final: true }),
    transcript("by the way", { turnId: "n1", transcriptId: "n1", typed: true }),
    transcript("the time", { transcriptId: "s2" }),
  );
  expect(turnsOf(state)).toMatchObject([
    { text: "what is the time", typed: false },
    { text: "by the way", typed: true },
  ]);
});
