/** What a stock bot has announced that it will say, and how much of that was told as words. */
import { isObject } from "./message.js";

const spaced = (text: string) => text.trim().replace(/\s+/g, " ");

/** A stretch of text, which is known by that. */
interface Segment {
  readonly text: string;
  /** Where what has been spoken ends (`bot-output`). */
  spoken: number;
  /** Where what came as words of its own ends (`bot-tts-text`). */
  worded: number;
  /** Where what was told ends. */
  told: number;
}

/** Whether words are the next ones of a segment, which they are no more then. */
function take(segment: Segment | undefined, words: string): segment is Segment {
  if (!segment) return false;
  const at = segment.text[segment.worded] === " " ? segment.worded + 1 : segment.worded;
  if (!segment.text.startsWith(words, at)) return false;
  segment.worded = at + words.length;
  return true;
}

/** What is to be told of a segment that was spoken up to there. */
function tell(segment: Segment, end: number): string {
  const { text, told, spoken } = segment;
  segment.told = Math.max(told, end);
  segment.spoken = Math.max(spoken, end);
  return text.slice(told, end);
}

/**
 * The segment (RTVI 2.0 `bot-output`) that is being spoken, and the one before the last end.
 *
 * A bot tells each word twice, as `bot-tts-text` and then by how far its segment has come. Pipecat
 * keeps the first of them back while the bot is silent: the next `bot-started-speaking` brings it,
 * out of its answer. The second comes in time, so it tells which words are kept back. What else
 * comes of the segment before the end is of one that goes on behind a pause.
 */
export class Announced {
  #segment: Segment | undefined;
  #past: Segment | undefined;
  #tellsWords = false;

  /** Whether there is announced text that the bot has not spoken yet. */
  get isOwed(): boolean {
    const segment = this.#segment;
    return this.#tellsWords && !!segment && segment.spoken < segment.text.length;
  }

  /**
   * Takes the data of a `bot-output`; what has another form says nothing.
   *
   * @param speaks Whether an utterance is open.
   * @param begins Called when it is about another segment, before that is the one being spoken.
   */
  progress(data: unknown, speaks: boolean, begins: () => void): void {
    if (!isObject(data) || !isObject(data.spoken_progress)) return;
    const left = data.spoken_progress.remaining_text;
    if (typeof data.text !== "string" || typeof left !== "string") return;
    const text = spaced(data.text);
    const rest = spaced(left);
    const at = text.length - rest.length;
    const isOf = (one: Segment | undefined) => at && one?.text === text;
    const known = [this.#segment, this.#past].find(isOf);
    if (!text.endsWith(rest))
      this.#segment = undefined; // it is told otherwise
    else if (known) {
      known.spoken = Math.max(known.spoken, at);
      if (speaks && !this.#segment) this.#segment = known;
    } else {
      begins();
      this.#segment = { text, spoken: at, worded: at, told: at };
    }
  }

  /**
   * Takes the text of a `bot-tts-text`.
   *
   * @param speaks Whether an utterance is open.
   * @returns What is to be told. Empty = it was told already, or belongs to what is over; undefined
   * = the text as it is, which was not announced.
   */
  say(text: string, speaks: boolean): string | undefined {
    this.#tellsWords = true;
    const words = spaced(text);
    const past = this.#past;
    if (!take(this.#segment, words)) {
      const isPast = take(past, words);
      if (isPast && (this.#segment || past.worded <= past.spoken || !speaks)) return "";
      this.#segment = isPast ? past : undefined; // it is spoken otherwise
    }
    this.#past = undefined;
    return this.#segment && tell(this.#segment, this.#segment.worded);
  }

  /** What was spoken and is not told yet; it is told with that. Empty = nothing. */
  rest(): string {
    return this.#segment && this.#tellsWords ? tell(this.#segment, this.#segment.spoken) : "";
  }

  /**
   * The answer is over; words of it that come after that are known. A segment of which nothing was
   * spoken is one of the next answer.
   */
  end(): void {
    this.#past = undefined;
    if (!this.#segment?.spoken) return;
    this.#past = this.#segment;
    this.#segment = undefined;
  }

  /** Nothing of it will come any more. */
  clear(): void {
    this.#past = this.#segment = undefined;
  }
}
