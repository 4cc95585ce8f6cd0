/** What the bot of a `FakeServer` says: utterances, their words, and what of them was heard. */
import * as wire from "@voxwire/protocol/wire";
import type { Clock } from "../media/headless-media.js";

/** Silence between what was heard and what is said next, milliseconds. */
const LEAD_MS = 100;

interface Spoken {
  readonly started: wire.UtteranceStarted;
  readonly words: wire.UtteranceWords;
  readonly startMs: number;
  readonly endMs: number;
  readonly settle: (heardWords: number) => void;
}

export class Speech {
  #spoken: Spoken[] = [];
  #number = 0;
  #flushes = 0;
  #endMs = 0;

  constructor(
    private readonly send: (payload: wire.PayloadInit) => void,
    private readonly clock: Clock,
  ) {}

  begin(text: string, turnId: string, wordMs: number, heardMs: number) {
    this.#number += 1;
    const utteranceId = `u${this.#number}`;
    const responseId = `r${this.#number}`;
    const startMs = Math.max(this.#endMs, heardMs) + LEAD_MS;
    const pieces = text.split(" ").filter(Boolean);
    const endMs = startMs + pieces.length * wordMs;
    this.#endMs = endMs;
    let at = 0;
    const words = pieces.map((piece, index) => {
      const charStart = at;
      at += [...piece].length + 1;
      const times = { startMs: index * wordMs, endMs: (index + 1) * wordMs };
      return { charStart, charEnd: at - 1, ...times };
    });
    const started = wire.create(wire.UtteranceStartedSchema, {
      ...{ utteranceId, turnId, responseId, mediaMs: BigInt(startMs) },
      source: wire.TimingSource.PROVIDER_WORD,
    });
    const said = wire.create(wire.UtteranceWordsSchema, {
      ...{ utteranceId, baseMediaMs: BigInt(startMs), text: pieces.join(" ") },
      words: words.map((word) => wire.create(wire.WordSchema, word)),
    });
    this.send({ case: "responseStarted", value: { responseId, turnId } });
    this.send({ case: "responseText", value: { responseId, text } });
    this.send({ case: "responseEnded", value: { responseId } });
    this.send({ case: "utteranceStarted", value: started });
    this.send({ case: "utteranceWords", value: said });
    const { BotState, UserState } = wire;
    const value = { bot: BotState.SPEAKING, user: UserState.SILENT, mediaMs: BigInt(startMs) };
    this.send({ case: "stateChanged", value });
    const utterance = new Promise<number>((settle) => {
      this.#spoken.push({ started, words: said, startMs, endMs, settle });
    });
    return { utterance, startMs, endMs };
  }

  /** The client has heard everything before that position. */
  heard(mediaMs: number): void {
    const { BotState, UserState, UtteranceEnd } = wire;
    const done = this.#spoken.filter(({ endMs }) => endMs <= mediaMs);
    if (done.length === 0) return;
    this.#spoken = this.#spoken.filter(({ endMs }) => endMs > mediaMs);
    for (const one of done) this.#end(one, UtteranceEnd.COMPLETED, one.endMs);
    if (this.#spoken.length > 0) return;
    this.send({ case: "stateChanged", value: { bot: BotState.IDLE, user: UserState.SILENT } });
  }

  cut(mediaMs: number, pathId: number): void {
    if (this.#spoken.length === 0) return;
    this.#flushes += 1;
    const untilMediaMs = BigInt(this.#endMs);
    this.send({ case: "flush", value: { pathId, flushId: this.#flushes, untilMediaMs } });
    const { InterruptionSource, UtteranceEnd } = wire;
    for (const one of this.#spoken.splice(0)) {
      const { utteranceId } = one.started;
      this.#end(one, UtteranceEnd.INTERRUPTED, mediaMs);
      this.send({ case: "interrupted", value: { source: InterruptionSource.USER, utteranceId } });
    }
    const { BotState, UserState } = wire;
    this.send({
      case: "stateChanged",
      value: { bot: BotState.LISTENING, user: UserState.SPEAKING },
    });
  }

  /** Another path: where it is on the media clock. */
  moved(pathId: number): void {
    const value = { pathId, mediaMs: 0n, clockRate: 24_000 };
    this.send({
      case: "mediaAnchor",
      value: { ...value, position: { case: "sampleIndex", value: 0n } },
    });
  }

  /** What is to be played again on another path. */
  unheard(mediaMs: number): { readonly startMs: number; readonly endMs: number }[] {
    return this.#spoken.map(({ startMs, endMs }) => ({
      startMs: Math.max(startMs, mediaMs),
      endMs,
    }));
  }

  snapshot(heardMs: number): wire.Snapshot {
    const [first, ...queued] = this.#spoken;
    return wire.create(wire.SnapshotSchema, {
      ...(first ? { utterance: first.started } : {}),
      queuedUtterances: queued.map(({ started }) => started),
      words: this.#spoken.map(({ words }) => words),
      heardMediaMs: BigInt(Math.floor(heardMs)),
      state: { bot: first ? wire.BotState.SPEAKING : wire.BotState.IDLE },
    });
  }

  close(): void {
    for (const { settle } of this.#spoken.splice(0)) settle(0);
  }

  #end({ started, words, settle }: Spoken, end: wire.UtteranceEnd, mediaMs: number): void {
    const base = Number(words.baseMediaMs);
    const heard = words.words.filter(({ startMs }) => base + startMs < mediaMs);
    this.send({
      case: "utteranceEnded",
      value: {
        utteranceId: started.utteranceId,
        end,
        heardMediaMs: BigInt(Math.floor(mediaMs)),
        heardCharEnd: heard.at(-1)?.charEnd ?? 0,
        heardWords: heard.length,
        heardSource: wire.HeardSource.CLIENT_REPORT,
      },
    });
    this.clock.after(0, () => settle(heard.length));
  }
}
