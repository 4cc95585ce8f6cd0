/** What a stock bot has announced that it will say, and how much of that was told as words. */
import type { JsonValue } from "../json-text.js";
import { isObject } from "./message.js";

/** Words are still to be told; were told already, or belong to what is over; were not announced. */
export type Said = "new" | "old" | "unknown";

const spaced = (text: string) => text.trim().split(/\s+/).join(" ");

/** A stretch of text. */
interface Segment {
  readonly id: JsonValue | undefined;
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

/**
 * The segment (RTVI 2.0 `bot-output`) that is being spoken, and the one before the last end.
 *
 * A bot tells each word twice, as `bot-tts-text` and by how far its segment has come. Pipecat keeps
 * the first of them back while the bot is silent: the next `bot-started-speaking` brings it, out of
 * its answer. The second comes in time.
 */
export class Announced {
  #segment: Segment | undefined;
  #past: Segment | undefined;
  #tellsWords = false;

  /** Whether there is announced text that the bot has not spoken yet. */
  get isOwed(): boolean {
    const { text = "", spoken = 0, told = 0 } = this.#segment ?? {};
    return this.#tellsWords && Math.max(spoken, told) < text.length;
  }

  /**
   * Takes the data of a `bot-output`; what has another form says nothing.
   *
   * @param begins Called when it is about another segment, before that is the one being spoken.
   */
  progress(data: unknown, begins: () => void): void {
    if (!isObject(data) || !isObject(data.spoken_progress)) return;
    const { segment_id: id } = data;
    const left = data.spoken_progress.remaining_text;
    if (typeof data.text !== "string" || typeof left !== "string") return;
    const text = spaced(data.text);
    const rest = spaced(left);
    const isOf = (one: Segment | undefined) => one?.text === text && one.id === id;
    if (!this.#segment && isOf(this.#past) && rest !== text) return;
    if (!isOf(this.#segment)) {
      begins();
      this.#segment = { id, text, spoken: 0, worded: 0, told: 0 };
    }
    if (!text.endsWith(rest))
      this.#segment = undefined; // it is told otherwise
    else if (this.#segment) this.#segment.spoken = text.length - rest.length;
  }

  /** Takes the text of a `bot-tts-text`. */
  say(text: string): Said {
    this.#tellsWords = true;
    const words = spaced(text);
    const segment = this.#segment;
    if (take(segment, words)) {
      if (segment.worded <= segment.told) return "old";
      segment.told = segment.worded;
      return "new";
    }
    if (take(this.#past, words)) return "old";
    this.#segment = undefined; // it is spoken otherwise than it was announced
    return "unknown";
  }

  /** What was spoken and is not told yet; it is told with that. Empty = nothing. */
  rest(): string {
    const segment = this.#segment;
    if (!segment || !this.#tellsWords) return "";
    const { text, told, spoken } = segment;
    segment.told = Math.max(told, spoken);
    return text.slice(told, spoken);
  }

  /** The answer is over; words of it that come after that are known. */
  end(): void {
    this.#past = this.#segment;
    this.#segment = undefined;
  }

  /** Nothing of it will come any more. */
  clear(): void {
    this.#past = this.#segment = undefined;
  }
}
