import fc from "fast-check";
import { expect, test } from "vitest";
import { NaiveTimeline } from "../test/naive-timeline.js";
import type { TimedWord } from "./timed-words.js";
import { KEPT_UTTERANCES, MAX_TEXT_CHARS, Timeline } from "./timeline.js";

function word(index: number, startMs: number, utteranceId = "u"): TimedWord {
  return {
    utteranceId,
    index,
    text: "abc",
    charStart: index * 4,
    charEnd: index * 4 + 3,
    startMs,
    endMs: startMs + 50,
    endEstimated: false,
    source: "provider_word",
  };
}

function words(startsMs: readonly number[], utteranceId = "u"): TimedWord[] {
  return startsMs.map((startMs, index) => word(index, startMs, utteranceId));
}

const indices = (due: readonly TimedWord[]) => due.map((each) => each.index);
const heard = (count: number, charEnd: number, mediaMs: number) => ({
  utteranceId: "u",
  words: count,
  charEnd,
  mediaMs,
});

test("a word fires at its onset and only once", () => {
  const timeline = new Timeline();
  timeline.begin("u", 0);
  timeline.add(words([0, 100]));
  expect(indices(timeline.advance(0))).toEqual([0]);
  expect(timeline.nextDueMs()).toBe(100);
  expect(timeline.advance(99)).toEqual([]);
  expect(indices(timeline.advance(100))).toEqual([1]);
  expect([...timeline.advance(100), ...timeline.advance(0)]).toEqual([]);
  expect(timeline.nextDueMs()).toBeUndefined();
});

test("words of two utterances come by onset and then by which was known first", () => {
  const timeline = new Timeline();
  timeline.add(words([10, 30], "b"));
  timeline.add(words([10, 20], "a"));
  const due = timeline.advance(100).map((each) => [each.utteranceId, each.startMs]);
  expect(due).toEqual([
    ["b", 10],
    ["a", 10],
    ["a", 20],
    ["b", 30],
  ]);
});

test("begin counts once and may follow the words", () => {
  const timeline = new Timeline();
  timeline.add(words([500]));
  timeline.begin("u", 400);
  timeline.begin("u", 0);
  expect(timeline.cut(100, 400)).toEqual([]);
  expect(timeline.cut(100, 401)).toEqual([heard(0, 0, 100)]);
});

test("a revision moves only words that were not delivered", () => {
  const timeline = new Timeline();
  timeline.add(words([0, 100]));
  timeline.advance(0);
  timeline.add([word(0, 5), word(1, 50)], 1);
  timeline.add([word(1, 70)], 1);
  expect(timeline.words("u").map((each) => each.startMs)).toEqual([0, 50]);
  expect(indices(timeline.advance(50))).toEqual([1]);
});

test("index order holds where times go back", () => {
  const timeline = new Timeline();
  timeline.add(words([200, 100]));
  expect(timeline.advance(199)).toEqual([]);
  expect(indices(timeline.advance(200))).toEqual([0, 1]);
});

test("a cut drops what was not heard and closes", () => {
  const timeline = new Timeline();
  timeline.begin("u", 0);
  timeline.add(words([0, 100, 200]));
  expect(timeline.cut(150, 1000)).toEqual([heard(2, 7, 150)]);
  timeline.add([word(2, 120)], 9);
  expect(indices(timeline.advance(5000))).toEqual([0, 1]);
  expect(timeline.heard("u", 5000)).toEqual(heard(2, 7, 150));
});

test("a cut below what already fired keeps the heard prefix exact", () => {
  const timeline = new Timeline();
  timeline.add(words([0, 100, 200]));
  timeline.advance(250);
  expect(timeline.cut(50, 1000)).toEqual([heard(1, 3, 50)]);
  expect(timeline.words("u")).toHaveLength(1);
  expect(timeline.advance(9999)).toEqual([]);
});

test("words that are passed over count as delivered", () => {
  const timeline = new Timeline();
  timeline.add(words([0, 100, 200]));
  timeline.skip("u", 2);
  expect(timeline.delivered("u")).toBe(2);
  expect(indices(timeline.advance(1000))).toEqual([2]);
  timeline.skip("u", 1);
  timeline.skip("u", 9);
  expect(timeline.delivered("u")).toBe(3);
  expect(timeline.delivered("unknown")).toBe(0);
});

test("nothing is known of an unknown utterance", () => {
  const timeline = new Timeline();
  expect(timeline.heard("u", 7)).toEqual(heard(0, 0, 7));
  expect(timeline.words("u")).toEqual([]);
  expect(timeline.text("u")).toBe("");
});

test("memory is bounded to the last utterances that are over", () => {
  const timeline = new Timeline();
  for (let number = 0; number < 100; number++) {
    timeline.add([word(0, number, `u${number}`)]);
    timeline.advance(number);
    timeline.end(`u${number}`);
  }
  const kept = Array.from({ length: 100 }, (_, number) => timeline.words(`u${number}`).length);
  expect(kept).toEqual([
    ...Array(100 - KEPT_UTTERANCES).fill(0),
    ...Array(KEPT_UTTERANCES).fill(1),
  ]);
});

test("text is put in place by code points, and bounded", () => {
  const timeline = new Timeline();
  timeline.setText("u", 0, "héllo");
  timeline.setText("u", 7, "👋🏽");
  timeline.setText("u", 5, "--");
  expect(timeline.text("u")).toBe("héllo--👋🏽");
  timeline.setText("u", 2 ** 32 - 1, "x");
  timeline.setText("u", MAX_TEXT_CHARS, "x");
  expect(timeline.text("u")).toBe("héllo--👋🏽");
});

const NAMES = ["a", "b", "c"] as const;
const name = fc.constantFrom(...NAMES);
const ms = fc.nat(60);
const step = fc.oneof(
  fc.record({ op: fc.constant("begin" as const), name, ms }),
  fc.record({
    op: fc.constant("add" as const),
    name,
    placed: fc.array(fc.tuple(fc.nat(6), ms), { maxLength: 4 }),
    revision: fc.nat(2),
  }),
  fc.record({ op: fc.constant("advance" as const), ms }),
  fc.record({ op: fc.constant("cut" as const), ms, aheadMs: ms }),
  fc.record({ op: fc.constant("end" as const), name }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
type Both = Pick<NaiveTimeline, "begin" | "add" | "advance" | "cut" | "end">;

function run(timeline: Both, each: Step): unknown {
  switch (each.op) {
    case "begin":
      return timeline.begin(each.name, each.ms);
    case "add": {
      const placed = each.placed.map(([index, startMs]) => word(index, startMs, each.name));
      return timeline.add(placed, each.revision);
    }
    case "advance":
      return timeline.advance(each.ms);
    case "cut":
      return timeline.cut(each.ms, each.ms + each.aheadMs);
    case "end":
      return timeline.end(each.name);
  }
}

test("the timeline does what a naive one does", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), ms, (steps, heardMs) => {
      const timeline = new Timeline();
      const model = new NaiveTimeline();
      for (const each of steps) {
        expect(run(timeline, each)).toEqual(run(model, each));
        expect(timeline.nextDueMs()).toBe(model.nextDueMs());
        for (const each of NAMES) {
          expect(timeline.words(each)).toEqual(model.words(each));
          expect(timeline.heard(each, heardMs)).toEqual(model.heard(each, heardMs));
        }
      }
    }),
    { numRuns: 200 },
  );
});

test("every word fires once, in order, and a cut leaves the exact prefix", () => {
  const gaps = fc.array(fc.nat(80), { minLength: 1, maxLength: 30 });
  const positions = fc.array(fc.nat(2000), { maxLength: 20 });
  fc.assert(
    fc.property(gaps, positions, fc.option(fc.nat(2000)), (between, moves, cutMs) => {
      let atMs = 0;
      const said = words(between.map((gap) => (atMs += gap)));
      const timeline = new Timeline();
      timeline.begin("u", 0);
      timeline.add(said);
      const fired = moves.sort((one, other) => one - other).flatMap((to) => timeline.advance(to));
      const before = fired.length;
      if (cutMs !== null) timeline.cut(cutMs, 10_000);
      fired.push(...timeline.advance(10_000));
      const prefix = cutMs === null ? said : said.filter((each) => each.startMs < cutMs);
      expect(fired).toEqual(said.slice(0, Math.max(before, prefix.length)));
      expect(timeline.words("u")).toEqual(prefix);
      expect(timeline.heard("u", 10_000).words).toBe(prefix.length);
      expect(timeline.advance(20_000)).toEqual([]);
    }),
  );
});
