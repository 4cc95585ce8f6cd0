import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { fromBinary } from "../src/codec.js";
import { enumWord } from "../src/enum-words.js";
import type { TimingSource } from "../src/event-enums.js";
import {
  TimingSource as TimingNumber,
  TimingSourceSchema,
  UtteranceWordsSchema,
} from "../src/messages.js";
import { joinTexts } from "../src/text-join.js";
import { decodeWords, encodeWords, type TimedWord } from "../src/timed-words.js";
import { type Heard, Timeline } from "../src/timeline.js";
import { ofKind, readVectors } from "./read-vectors.js";
import { UtteranceWordsSchema as Reference } from "./reference.js";

interface WordCase {
  readonly utterance_id: string;
  readonly index: number;
  readonly text: string;
  readonly char_start: number;
  readonly char_end: number;
  readonly start_ms: number;
  readonly end_ms: number;
  readonly end_estimated: boolean;
  readonly source: string;
}

interface HeardCase {
  readonly utterance_id: string;
  readonly words: number;
  readonly char_end: number;
  readonly media_ms: number;
}

interface DecodeCase {
  readonly kind: "decode";
  readonly message: JsonValue;
  readonly bytes: string;
  readonly text_so_far: string;
  readonly words: readonly WordCase[];
}

type Step =
  | { op: "begin"; utterance_id: string; media_ms: number }
  | { op: "add"; words: WordCase[]; revision: number }
  | { op: "advance"; media_ms: number; due: [string, number][] }
  | { op: "next_due_ms"; value: number | null }
  | { op: "heard"; utterance_id: string; media_ms: number; heard: HeardCase }
  | { op: "cut"; media_ms: number; until_ms: number; heard: HeardCase[] }
  | { op: "end"; utterance_id: string }
  | { op: "words"; utterance_id: string; indices: number[] }
  | { op: "set_text"; utterance_id: string; offset: number; text: string }
  | { op: "text"; utterance_id: string; value: string };

interface TimelineCase {
  readonly kind: "timeline";
  readonly steps: readonly Step[];
}

interface JoinCase {
  readonly kind: "join";
  readonly joins: readonly { before: string; after: string; text: string }[];
}

type Case = DecodeCase | JoinCase | TimelineCase;

const CASES = readVectors<Case>("words");
const DECODE = ofKind<Case, "decode">(CASES, "decode");
const JOIN = ofKind<Case, "join">(CASES, "join");
const TIMELINE = ofKind<Case, "timeline">(CASES, "timeline");

function timedWord(word: WordCase): TimedWord {
  const name = word.source.replace("TIMING_SOURCE_", "") as keyof typeof TimingNumber;
  return {
    utteranceId: word.utterance_id,
    index: word.index,
    text: word.text,
    charStart: word.char_start,
    charEnd: word.char_end,
    startMs: word.start_ms,
    endMs: word.end_ms,
    endEstimated: word.end_estimated,
    source: enumWord<TimingSource>(TimingSourceSchema, TimingNumber[name]),
  };
}

function asJson(heard: Heard): HeardCase {
  return {
    utterance_id: heard.utteranceId,
    words: heard.words,
    char_end: heard.charEnd,
    media_ms: heard.mediaMs,
  };
}

test("no case of words/ is left out", () => {
  expect(CASES.length).toBeGreaterThanOrEqual(17);
  expect(DECODE.length + JOIN.length + TIMELINE.length).toBe(CASES.length);
});

test.each(DECODE)("%s", (_, wanted) => {
  const message = fromJson(Reference, wanted.message);
  expect(fromBinary(UtteranceWordsSchema, Buffer.from(wanted.bytes, "hex"))).toEqual(message);
  const options = { textSoFar: wanted.text_so_far };
  const words = decodeWords(message, options);
  expect(words).toEqual(wanted.words.map(timedWord));
  const { text, textOffset, revision } = message;
  const again = encodeWords(words, { text, textOffset, revision });
  expect(decodeWords(again, options)).toEqual(words);
});

test.each(JOIN)("%s", (_, { joins }) => {
  for (const { before, after, text } of joins) expect(joinTexts(before, after)).toBe(text);
});

test.each(TIMELINE)("%s", (_, wanted) => {
  const timeline = new Timeline();
  for (const [at, step] of wanted.steps.entries()) {
    expect(runStep(timeline, step), `step ${at}`).toEqual(step);
  }
});

/** Runs a step and returns it with what came of it in place of what is expected. */
function runStep(timeline: Timeline, step: Step): object {
  switch (step.op) {
    case "begin":
      timeline.begin(step.utterance_id, step.media_ms);
      return step;
    case "add":
      timeline.add(step.words.map(timedWord), step.revision);
      return step;
    case "end":
      timeline.end(step.utterance_id);
      return step;
    case "set_text":
      timeline.setText(step.utterance_id, step.offset, step.text);
      return step;
    case "advance": {
      const words = timeline.advance(step.media_ms);
      return { ...step, due: words.map((word) => [word.utteranceId, word.index]) };
    }
    case "next_due_ms":
      return { ...step, value: timeline.nextDueMs() ?? null };
    case "heard":
      return { ...step, heard: asJson(timeline.heard(step.utterance_id, step.media_ms)) };
    case "cut":
      return { ...step, heard: timeline.cut(step.media_ms, step.until_ms).map(asJson) };
    case "words":
      return { ...step, indices: timeline.words(step.utterance_id).map((word) => word.index) };
    case "text":
      return { ...step, value: timeline.text(step.utterance_id) };
    default:
      throw new Error(`no such step: ${JSON.stringify(step satisfies never)}`);
  }
}
