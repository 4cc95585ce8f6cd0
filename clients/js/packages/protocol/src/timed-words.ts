/** Words with their places on the media clock, from and to the wire (protocol/spec/words.md). */
import { codePointsOf } from "./code-points.js";
import { enumValue, enumWord } from "./enum-words.js";
import { UsageError } from "./errors.js";
import type { TimingSource } from "./event-enums.js";
import type { BotWord } from "./events.js";
import {
  create,
  TimingSourceSchema,
  type UtteranceWords,
  UtteranceWordsSchema,
} from "./messages.js";

/** A word of an utterance with its place on the media clock; positions are code points. */
export interface TimedWord extends BotWord {
  /** True when the end was not measured. */
  readonly endEstimated: boolean;
}

export interface DecodeOptions {
  /** Text of the utterance from earlier messages, for spans before this piece. */
  readonly textSoFar?: string;
  /** What `utteranceStarted` said, for a message that does not say it. */
  readonly source?: TimingSource;
}

/** Reads the words of a message. Never throws: a span outside the text is cut to it. */
export function decodeWords(message: UtteranceWords, options: DecodeOptions = {}): TimedWord[] {
  const piece = codePointsOf(message.text);
  const earlier = codePointsOf(options.textSoFar ?? "");
  const offset = message.textOffset;
  const baseMs = Number(message.baseMediaMs);
  const source = message.source
    ? enumWord<TimingSource>(TimingSourceSchema, message.source)
    : (options.source ?? "unknown");
  return message.words.map((word, number) => {
    const { charStart, charEnd } = word;
    const here = offset <= charStart && charStart < offset + piece.length;
    const [text, from] = here ? [piece, offset] : [earlier, 0];
    return Object.freeze({
      utteranceId: message.utteranceId,
      index: message.firstIndex + number,
      text: text.slice(charStart - from, Math.max(charStart, charEnd) - from),
      charStart,
      charEnd,
      startMs: baseMs + word.startMs,
      endMs: baseMs + word.endMs,
      endEstimated: word.endEstimated,
      source,
    });
  });
}

export interface EncodeOptions {
  /** The piece of the utterance's text that holds the words. */
  readonly text: string;
  /** Position of that piece, code points. */
  readonly textOffset?: number;
  /** Higher replaces lower for the same index. */
  readonly revision?: number;
}

/**
 * Writes words of one utterance, as a server does; their texts on the wire are slices of `text`.
 *
 * @throws UsageError invalid_argument: the words are none, or not of one utterance, source and index sequence.
 */
export function encodeWords(words: readonly TimedWord[], options: EncodeOptions): UtteranceWords {
  const first = words[0];
  const together = words.every(
    (word, number) =>
      word.utteranceId === first?.utteranceId &&
      word.source === first.source &&
      word.index === first.index + number,
  );
  if (!first || !together) {
    throw new UsageError(
      "invalid_argument",
      "words of one message share utterance and source and are consecutive",
    );
  }
  const baseMs = words.reduce((least, word) => Math.min(least, word.startMs), first.startMs);
  return create(UtteranceWordsSchema, {
    utteranceId: first.utteranceId,
    firstIndex: first.index,
    baseMediaMs: BigInt(baseMs),
    textOffset: options.textOffset ?? 0,
    text: options.text,
    words: words.map((word) => ({
      charStart: word.charStart,
      charEnd: word.charEnd,
      startMs: word.startMs - baseMs,
      endMs: word.endMs - baseMs,
      endEstimated: word.endEstimated,
    })),
    revision: options.revision ?? 0,
    source: enumValue(TimingSourceSchema, first.source),
  });
}
