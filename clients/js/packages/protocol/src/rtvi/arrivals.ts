/** Turns, responses, utterances and words of a stock bot, which names none of them. */
import { codePointsOf } from "../code-points.js";
import { envelope, type PayloadInit } from "../envelope.js";
import { BotState, type Envelope, TimingSource, UserState, UtteranceEnd } from "../messages.js";
import { joinTexts } from "../text-join.js";
import { Announced } from "./announced.js";

/** How long the end of an utterance waits for words that the bot has announced, milliseconds. */
export const LATE_MS = 1000;

const MAX_TEXT_CHARS = 262_144;
const TAIL_UNITS = 16;

/**
 * Who speaks, and names for what is said, in the order in which messages arrive.
 *
 * An utterance is what the bot says between starting and stopping to speak. Words get the position
 * at which they arrive; `mediaMs` of every verb is the client's playout position. Where words that
 * were announced have not come, the end of the utterance waits for them: `lateUtteranceId`,
 * `overdue`.
 */
export class Arrivals {
  #bot = BotState.UNSPECIFIED;
  #user = UserState.UNSPECIFIED;
  #isMuted = false;
  #toldMuted = false;
  #turns = 0;
  #responses = 0;
  #responseId = "";
  #utterances = 0;
  #utteranceId = "";
  /** Code points of the utterance's text so far. */
  #chars = 0;
  /** The end of that text: it decides how the next word joins it. */
  #tail = "";
  #words = 0;
  #isSilenced = false;
  #hasStopped = false;
  readonly #announced = new Announced();
  /** The bot has stopped, and the end of the utterance waits. */
  #isLate = false;
  #transcripts = 0;
  #isTranscriptOpen = false;

  /** Whether the user has the floor. */
  get userSpeaks(): boolean {
    return this.#user === UserState.SPEAKING;
  }

  /** The bot is up. */
  ready(): Envelope[] {
    return this.#states(BotState.IDLE, UserState.SILENT);
  }

  /** The user begins a turn. */
  userStarted(): Envelope[] {
    this.#turns += 1;
    return this.#states(this.#unlessSpeaking(BotState.LISTENING), UserState.SPEAKING);
  }

  /** The user ends a turn: the bot owes an answer. */
  userStopped(): Envelope[] {
    return this.#states(this.#unlessSpeaking(BotState.THINKING), UserState.SILENT);
  }

  /** The bot listens to the user no more, or again. */
  userMuted(muted: boolean): Envelope[] {
    this.#isMuted = muted;
    return this.#states(this.#bot, this.#user);
  }

  /** The bot begins to speak; what was cut off a moment ago may still say so. */
  botStarted(mediaMs: number): Envelope[] {
    if (this.#isSilenced && !this.#hasStopped) return this.#states(BotState.SPEAKING, this.#user);
    this.#isSilenced = false;
    const begun = [...this.overdue(mediaMs), ...this.#begin(mediaMs)];
    return [...begun, ...this.#states(BotState.SPEAKING, this.#user)];
  }

  /** The bot is silent, at its end or because it was cut off. */
  botStopped(mediaMs: number, wasCut: boolean): Envelope[] {
    this.#hasStopped = true;
    const state = this.userSpeaks ? BotState.LISTENING : BotState.IDLE;
    const ended = wasCut ? this.#end(mediaMs, true) : this.#stop(mediaMs);
    return [...ended, ...this.#states(state, this.#user)];
  }

  /** The utterance whose end waits for words; empty = none. `overdue` after `LATE_MS`. */
  get lateUtteranceId(): string {
    return this.#isLate ? this.#utteranceId : "";
  }

  /** The end that waits for words waits no longer. */
  overdue(mediaMs: number): Envelope[] {
    return this.#isLate ? this.#end(mediaMs, false) : [];
  }

  /** The bot's voice has something new to say; it may be a while until it sounds. */
  voiceStarted(): Envelope[] {
    this.#isSilenced = false;
    return [];
  }

  /** What the bot was saying is cut off; words of it that come late are not said. */
  interrupted(mediaMs: number): Envelope[] {
    const wasCut = !this.#isLate; // else all of it has sounded
    const utteranceId = this.#utteranceId;
    const ended = this.#end(mediaMs, wasCut);
    this.#isSilenced = true;
    this.#hasStopped = false;
    this.#announced.clear();
    if (!wasCut || !utteranceId) return ended;
    return [...ended, ...made({ case: "interrupted", value: { utteranceId } })];
  }

  /** The connection is another one: what was open has no end that will still be told. */
  lost(mediaMs: number): Envelope[] {
    this.#isSilenced = false;
    this.#isMuted = false;
    const ended = [...this.responseEnded(), ...this.#end(mediaMs, !this.#isLate)];
    this.#announced.clear();
    return [...ended, ...this.#states(BotState.IDLE, UserState.SILENT)];
  }

  /** What the user said; interim ones and the final one that ends them share a name. */
  transcript(text: string, final: boolean, typed: boolean): Envelope[] {
    if (typed) this.#turns += 1;
    if (!this.#isTranscriptOpen || typed) this.#transcripts += 1;
    this.#isTranscriptOpen = !final;
    const transcriptId = `u${this.#transcripts}`;
    const value = { transcriptId, text, final, turnId: this.#turnId, typed };
    return made({ case: "transcript", value });
  }

  /** The model begins to write; one that was writing has ended. */
  responseStarted(): Envelope[] {
    const ended = this.responseEnded();
    this.#responses += 1;
    this.#responseId = `r${this.#responses}`;
    const value = { responseId: this.#responseId, turnId: this.#turnId };
    return [...ended, ...made({ case: "responseStarted", value })];
  }

  /** The model writes. */
  responseText(text: string): Envelope[] {
    const begun = this.#responseId ? [] : this.responseStarted();
    const value = { responseId: this.#responseId, text };
    return [...begun, ...made({ case: "responseText", value })];
  }

  /** The model has written its answer. */
  responseEnded(): Envelope[] {
    const responseId = this.#responseId;
    this.#responseId = "";
    return responseId ? made({ case: "responseEnded", value: { responseId } }) : [];
  }

  /** A word or a sentence sounds about now, or has sounded where it comes late. */
  words(text: string, mediaMs: number): Envelope[] {
    if (!text.trim() || this.#isSilenced) return [];
    const told = this.#announced.say(text, !!this.#utteranceId);
    if (told === "") return [];
    const ended = told ? [] : this.overdue(mediaMs);
    return [...ended, ...this.#catchUp(mediaMs, told ?? text)];
  }

  /** How far the bot has come with a text that it announced: the data of `bot-output`. */
  progress(data: unknown, mediaMs: number): Envelope[] {
    if (this.#isSilenced) return [];
    let ended: Envelope[] = [];
    this.#announced.progress(data, !!this.#utteranceId, () => {
      ended = this.overdue(mediaMs);
    });
    return this.#isLate ? this.#catchUp(mediaMs) : ended;
  }

  /** The end, at once or when the words that are missing have come. */
  #stop(mediaMs: number): Envelope[] {
    if (!this.#utteranceId) return [];
    this.#isLate = true;
    return this.#catchUp(mediaMs);
  }

  /** What has sounded and was not told, and the end that has waited for it once none is missing. */
  #catchUp(mediaMs: number, text = this.#announced.rest()): Envelope[] {
    const told = this.#tell(text, mediaMs);
    return this.#announced.isOwed ? told : [...told, ...this.overdue(mediaMs)];
  }

  #tell(text: string, mediaMs: number): Envelope[] {
    const body = text.trim();
    const { length } = codePointsOf(body);
    if (!body || this.#chars + length >= MAX_TEXT_CHARS) return [];
    const begun = this.#begin(mediaMs);
    const gap = joinTexts(this.#tail, body).length - this.#tail.length - body.length;
    const textOffset = this.#chars + gap;
    const words = [...body.matchAll(/\S+/g)].map(({ 0: word, index }) => {
      const charStart = textOffset + codePointsOf(body.slice(0, index)).length;
      return { charStart, charEnd: charStart + codePointsOf(word).length, endEstimated: true };
    });
    const value = {
      utteranceId: this.#utteranceId,
      firstIndex: this.#words,
      baseMediaMs: BigInt(mediaMs),
      textOffset,
      text: body,
      words,
      source: TimingSource.ARRIVAL,
    };
    this.#chars = textOffset + length;
    this.#tail = body.slice(-TAIL_UNITS);
    this.#words += words.length;
    return [...begun, ...made({ case: "utteranceWords", value })];
  }

  get #turnId(): string {
    return this.#turns ? `t${this.#turns}` : "";
  }

  #unlessSpeaking(state: BotState): BotState {
    return this.#bot === BotState.SPEAKING ? this.#bot : state;
  }

  #begin(mediaMs: number): Envelope[] {
    if (this.#utteranceId) return [];
    this.#utterances += 1;
    this.#utteranceId = `s${this.#utterances}`;
    this.#chars = 0;
    this.#tail = "";
    this.#words = 0;
    const value = {
      utteranceId: this.#utteranceId,
      turnId: this.#turnId,
      responseId: this.#responseId,
      mediaMs: BigInt(mediaMs),
      source: TimingSource.ARRIVAL,
    };
    return made({ case: "utteranceStarted", value });
  }

  #end(mediaMs: number, wasCut: boolean): Envelope[] {
    const utteranceId = this.#utteranceId;
    if (!utteranceId) return [];
    this.#utteranceId = "";
    this.#isLate = false;
    this.#announced.end();
    const value = {
      utteranceId,
      end: wasCut ? UtteranceEnd.INTERRUPTED : UtteranceEnd.COMPLETED,
      heardMediaMs: BigInt(mediaMs),
      heardCharEnd: this.#chars,
      heardWords: this.#words,
    };
    return made({ case: "utteranceEnded", value });
  }

  #states(bot: BotState, user: UserState): Envelope[] {
    const userMuted = this.#isMuted;
    if (bot === this.#bot && user === this.#user && userMuted === this.#toldMuted) return [];
    this.#bot = bot;
    this.#user = user;
    this.#toldMuted = userMuted;
    return made({ case: "stateChanged", value: { bot, user, userMuted } });
  }
}

function made(payload: PayloadInit): Envelope[] {
  return [envelope(payload)];
}
