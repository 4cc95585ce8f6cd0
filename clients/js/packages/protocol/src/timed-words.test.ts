import fc from "fast-check";
import { expect, test } from "vitest";
import { codePointsOf } from "./code-points.js";
import { fromBinary, toBinary } from "./codec.js";
import { UsageError } from "./errors.js";
import { create, TimingSource, UtteranceWordsSchema } from "./messages.js";
import { decodeWords, encodeWords, type TimedWord } from "./timed-words.js";

const WORD: TimedWord = {
  utteranceId: "u",
  index: 0,
  text: "abc",
  charStart: 0,
  charEnd: 3,
  startMs: 5,
  endMs: 55,
  endEstimated: false,
  source: "provider_word",
};

/** A piece of text of any script, its offset, and consecutive words in it. */
const spoken = fc
  .record({
    texts: fc.array(fc.string({ unit: "binary", minLength: 1, maxLength: 8 }), {
      minLength: 1,
      maxLength: 6,
    }),
    offset: fc.nat(1000),
    first: fc.nat(50),
    times: fc.array(fc.tuple(fc.nat(100_000), fc.nat(900), fc.boolean()), {
      minLength: 6,
      maxLength: 6,
    }),
  })
  .map(({ texts, offset, first, times }) => {
    let charStart = offset;
    const words = texts.map((text, number): TimedWord => {
      const [startMs = 0, lengthMs = 0, endEstimated = false] = times[number] ?? [];
      const charEnd = charStart + codePointsOf(text).length;
      const word = {
        ...WORD,
        utteranceId: "ü",
        index: first + number,
        text,
        charStart,
        charEnd,
        startMs,
        endMs: startMs + lengthMs,
        endEstimated,
      };
      charStart = charEnd;
      return word;
    });
    return { text: texts.join(""), textOffset: offset, words };
  });

test("words survive the wire", () => {
  fc.assert(
    fc.property(spoken, fc.nat(9), ({ text, textOffset, words }, revision) => {
      const written = encodeWords(words, { text, textOffset, revision });
      const bytes = toBinary(UtteranceWordsSchema, written);
      const message = fromBinary(UtteranceWordsSchema, bytes);
      expect(message.revision).toBe(revision);
      expect(decodeWords(message)).toEqual(words);
      expect(decodeWords(message, { source: "estimated" })).toEqual(words);
    }),
  );
});

test("a message without a source takes that of its utterance", () => {
  const message = encodeWords([WORD], { text: "abc" });
  message.source = TimingSource.UNSPECIFIED;
  expect(decodeWords(message, { source: WORD.source })).toEqual([WORD]);
  expect(decodeWords(message)[0]?.source).toBe("unknown");
});

test.each([
  [[]],
  [[WORD, { ...WORD, index: 2 }]],
  [[WORD, { ...WORD, index: 1, utteranceId: "v" }]],
  [[WORD, { ...WORD, index: 1, source: "arrival" as const }]],
])("words that do not belong into one message are refused: %#", (words) => {
  expect(() => encodeWords(words, { text: "abc def" })).toThrow(UsageError);
});

test("a span that ends before it begins is empty, wherever the text stands", () => {
  const message = create(UtteranceWordsSchema, {
    text: "hello",
    textOffset: 10,
    words: [
      { charStart: 12, charEnd: 9 },
      { charStart: 3, charEnd: 1 },
    ],
  });
  const words = decodeWords(message, { textSoFar: "0123456789" });
  expect(words.map((word) => word.text)).toEqual(["", ""]);
});

test("decoding never throws, and finds a word for every span", () => {
  const spans = fc.array(fc.tuple(fc.nat(2 ** 32 - 1), fc.nat(20)), { maxLength: 5 });
  const text = fc.string({ unit: "binary", maxLength: 9 });
  fc.assert(
    fc.property(text, fc.nat(9), spans, text, (piece, textOffset, placed, textSoFar) => {
      const message = create(UtteranceWordsSchema, {
        text: piece,
        textOffset,
        words: placed.map(([charStart, charEnd]) => ({ charStart, charEnd })),
      });
      expect(decodeWords(message, { textSoFar })).toHaveLength(placed.length);
    }),
  );
});
