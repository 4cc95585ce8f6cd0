/** Words and states happen where the speaker is, in order, once. */
import { encodeWords, type StateChanged, type TimedWord, wire } from "@voxwire/protocol";
import { expect, it } from "vitest";
import { type Cue, Cues, HELD_MS } from "./cues.js";

const SOURCE = wire.TimingSource.PROVIDER_CHAR;

function words(utteranceId: string, ...starts: number[]): wire.UtteranceWords {
  const timed: TimedWord[] = starts.map((startMs, index) => ({
    utteranceId,
    index,
    text: "a",
    charStart: index * 2,
    charEnd: index * 2 + 1,
    startMs,
    endMs: startMs + 10,
    endEstimated: false,
    source: "provider_char",
  }));
  return encodeWords(timed, { text: "a ".repeat(starts.length) });
}

const started = (utteranceId: string, mediaMs = 0, source = SOURCE) =>
  wire.create(wire.UtteranceStartedSchema, { utteranceId, mediaMs: BigInt(mediaMs), source });
const ended = (utteranceId: string) => wire.create(wire.UtteranceEndedSchema, { utteranceId });
const { SPEAKING, IDLE, LISTENING, THINKING } = wire.BotState;
const state = (bot: wire.BotState, mediaMs = 0, user = wire.UserState.SILENT) =>
  wire.create(wire.StateChangedSchema, { bot, user, mediaMs: BigInt(mediaMs) });
const reached = (soundedMs: number, passedMs = soundedMs) => ({ soundedMs, passedMs });
const types = (cues: readonly Cue[]) => cues.map((cue) => cue.type);
const indexes = (cues: readonly Cue[]) =>
  cues.flatMap((cue) => (cue.type === "botWord" ? [cue.event.index] : []));
const states = (cues: readonly Cue[]): StateChanged[] =>
  cues.flatMap((cue) => (cue.type === "stateChanged" ? [cue.event] : []));

it("lets words and states happen in order of position", () => {
  const cues = new Cues();
  cues.begin(started("u", 100));
  expect(cues.speaking).toBe(true);
  cues.add(words("u", 100, 150, 200));
  expect(cues.change(state(SPEAKING, 100), 0)).toBeUndefined();
  expect(cues.change(state(IDLE, 200), 0)).toBeUndefined();
  expect(cues.nextMs()).toBe(100);
  expect(cues.due(reached(99, 101), 0)).toEqual([]); // the bot speaks when a sample sounds
  const first = cues.due(reached(160), 0);
  expect(types(first)).toEqual(["stateChanged", "botWord", "botWord"]);
  expect(first[1]?.event).toMatchObject({ source: "provider_char", startMs: 100, text: "a" });
  expect(types(cues.due(reached(199, 201), 0))).toEqual(["stateChanged"]);
  expect(cues.nextMs()).toBe(200);
  cues.end(ended("u"));
  expect(cues.speaking).toBe(false);
  expect(indexes(cues.due(reached(200), 0))).toEqual([2]);
  expect(cues.nextMs()).toBeUndefined();
});

it("lets a word by its arrival begin with the sound, though nothing has sounded yet", () => {
  const cues = new Cues();
  cues.begin(started("u", 0, wire.TimingSource.ARRIVAL));
  cues.add({ ...words("u", 100), source: wire.TimingSource.ARRIVAL, baseMediaMs: 100n }, -1);
  const [word] = cues.due(reached(0), 0);
  expect(word?.event).toMatchObject({ startMs: 0 });
});

it("is not silent before it has spoken, though the server takes it for heard", () => {
  const cues = new Cues();
  cues.change(state(THINKING), 0);
  cues.begin(started("u", 100));
  cues.add(words("u", 100, 150));
  cues.change(state(SPEAKING, 100), 0);
  cues.end(ended("u"));
  expect(cues.change(state(IDLE), 0)).toBeUndefined();
  expect(cues.due(reached(99, 101), 0)).toEqual([]);
  expect(types(cues.due(reached(149), 0))).toEqual(["stateChanged", "botWord"]);
  expect(states(cues.due(reached(160), 0)).map(({ bot }) => bot)).toEqual(["idle"]);
});

it("applies a state whose position never comes in the end", () => {
  const cues = new Cues();
  cues.change(state(IDLE, 900), 1000);
  expect(cues.due(reached(0), 1000 + HELD_MS - 1)).toEqual([]);
  expect(cues.due(reached(0), 1000 + HELD_MS)).toHaveLength(1);
});

it("does not undo what the user does meanwhile with a held state", () => {
  const cues = new Cues();
  cues.change(state(IDLE, 900), 0);
  const at_once = cues.change(state(SPEAKING, 0, wire.UserState.SPEAKING), 0);
  expect(at_once?.event).toMatchObject({ bot: "speaking", user: "speaking" });
  const [applied] = states(cues.due(reached(900), 0));
  expect(applied).toMatchObject({ bot: "idle", user: "speaking" });
});

it("does not undo with it whether the bot listens", () => {
  const cues = new Cues();
  cues.change(state(IDLE, 900), 0);
  const muted = state(SPEAKING, 0, wire.UserState.SPEAKING);
  muted.userMuted = true;
  expect(cues.change(muted, 0)?.event).toMatchObject({ userMuted: true });
  const [applied] = states(cues.due(reached(900), 0));
  expect(applied).toMatchObject({ bot: "idle", userMuted: true });
});

it("drops cut words and keeps the last state that nothing replaced", () => {
  const cues = new Cues();
  cues.begin(started("u"));
  cues.add(words("u", 0, 100, 200));
  cues.change(state(SPEAKING, 120), 0);
  cues.change(state(IDLE, 300), 0);
  cues.change(state(IDLE, 900), 0);
  expect(states(cues.cut(110, 300))).toMatchObject([{ bot: "idle", mediaMs: 300 }]);
  expect(indexes(cues.due(reached(500), 0))).toEqual([0, 1]);
  cues.change(state(LISTENING), 0);
  expect(cues.cut(110, 1000)).toEqual([]);
  expect(cues.nextMs()).toBeUndefined();
});

it("gives a message without a source that of its utterance", () => {
  const cues = new Cues();
  cues.begin(started("u", 0, wire.TimingSource.ESTIMATED));
  cues.add({ ...words("u", 10), source: wire.TimingSource.UNSPECIFIED });
  cues.add({ ...words("v", 5), source: wire.TimingSource.UNSPECIFIED });
  const due = cues.due(reached(10), 0);
  const sources = due.map((cue) => cue.type === "botWord" && cue.event.source);
  expect(sources).toEqual(["unknown", "estimated"]);
});

it("has no word before the first sample, though it arrives before anything has sounded", () => {
  const cues = new Cues();
  cues.begin(started("u", 0, wire.TimingSource.ARRIVAL));
  cues.add({ ...words("u", 0), source: wire.TimingSource.ARRIVAL }, -1);
  const [word] = cues.due(reached(0), 0);
  expect(word?.event).toMatchObject({ startMs: 0 });
});

it("goes on from a snapshot: what fired does not fire again, what passed unknown never does", () => {
  const cues = new Cues();
  cues.begin(started("u"));
  cues.add(words("u", 0, 100, 200));
  expect(indexes(cues.due(reached(50), 0))).toEqual([0]);
  const snapshot = wire.create(wire.SnapshotSchema, {
    utterance: started("u"),
    queuedUtterances: [started("v", 400)],
    words: [words("u", 0, 100, 200, 300), words("v", 400, 500)],
    heardMediaMs: 60n,
  });
  cues.restore(snapshot);
  expect(cues.speaking).toBe(true);
  expect(indexes(cues.due(reached(350), 0))).toEqual([1, 2, 3]);
  expect(indexes(cues.due(reached(600), 0))).toEqual([0, 1]);

  const late = new Cues(); // knew nothing of it
  late.restore(wire.create(wire.SnapshotSchema, { ...snapshot, heardMediaMs: 150n }));
  expect(indexes(late.due(reached(350), 0))).toEqual([2, 3]);
  late.restore(wire.create(wire.SnapshotSchema, {}));
  expect([late.speaking, late.nextMs()]).toEqual([false, undefined]);
});
