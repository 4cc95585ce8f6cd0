/** Turns, responses, utterances and words of a stock bot, which names none of them. */
import { codePointsOf } from "../code-points.js";
import { envelope, type PayloadInit } from "../envelope.js";
import { BotState, type Envelope, TimingSource, UserState, UtteranceEnd } from "../messages.js";
import { joinTexts } from "../text-join.js";

const MAX_TEXT_CHARS = 262_144;
const TAIL_UNITS = 16;

/**
 * Who speaks, and names for what is said, in the order in which messages arrive.
 *
 * An utterance is what the bot says between starting and stopping to speak. Words get the position
 * at which they arrive; `mediaMs` of every verb is the client's playout position.
 */
export class Arrivals {
  #bot = BotState.UNSPECIFIED;
  #user = UserState.UNSPECIFIED;
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

  /** The bot begins to speak; what was cut off a moment ago may still say so. */
  botStarted(mediaMs: number): Envelope[] {
    if (this.#isSilenced && !this.#hasStopped) return this.#states(BotState.SPEAKING, this.#user);
    this.#isSilenced = false;
    return [...this.#begin(mediaMs), ...this.#states(BotState.SPEAKING, this.#user)];
  }

  /** The bot is silent, at its end or because it was cut off. */
  botStopped(mediaMs: number, wasCut: boolean): Envelope[] {
    this.#hasStopped = true;
    const state = this.userSpeaks ? BotState.LISTENING : BotState.IDLE;
    return [...this.#end(mediaMs, wasCut), ...this.#states(state, this.#user)];
  }

  /** The bot's voice has something new to say; it may be a while until it sounds. */
  voiceStarted(): Envelope[] {
    this.#isSilenced = false;
    return [];
  }

  /** What the bot was saying is cut off; words of it that come late are not said. */
  interrupted(mediaMs: number): Envelope[] {
    this.#isSilenced = true;
    this.#hasStopped = false;
    const utteranceId = this.#utteranceId;
    if (!utteranceId) return [];
    return [...this.#end(mediaMs, true), ...made({ case: "interrupted", value: { utteranceId } })];
  }

  /** The connection is another one: what was open has no end that will still be told. */
  lost(mediaMs: number): Envelope[] {
    this.#isSilenced = false;
    const ended = [...this.responseEnded(), ...this.#end(mediaMs, true)];
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

  /** A word or a sentence sounds about now. */
  words(text: string, mediaMs: number): Envelope[] {
    const body = text.trim();
    const { length } = codePointsOf(body);
    if (!body || this.#isSilenced || this.#chars + length >= MAX_TEXT_CHARS) return [];
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
    if (bot === this.#bot && user === this.#user) return [];
    this.#bot = bot;
    this.#user = user;
    return made({ case: "stateChanged", value: { bot, user } });
  }
}

function made(payload: PayloadInit): Envelope[] {
  return [envelope(payload)];
}
