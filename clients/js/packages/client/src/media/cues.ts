/**
 * What is to happen when the speaker reaches a position: words, and changes of state.
 *
 * Pure: no clock is read. Mirrors `voxwire._cues` of the Python client.
 */
import {
  type BotWord,
  decodeWords,
  fromEnvelope,
  type StateChanged,
  type TimedWord,
  Timeline,
  type TimingSource,
} from "@voxwire/protocol";
import * as wire from "@voxwire/protocol/wire";
import type { Reached } from "./position.js";

/** A change of state is applied after this long, even if its position is never reached. */
export const HELD_MS = 5000;

/** An event that happens at this speaker. */
export type Cue =
  | { readonly type: "botWord"; readonly event: BotWord }
  | { readonly type: "stateChanged"; readonly event: StateChanged };

/** A change of state that waits for its position. */
interface Held {
  readonly event: StateChanged;
  readonly sinceMs: number;
  /** How many immediate changes had come before it. */
  readonly afterImmediate: number;
}

function botWord(word: TimedWord): Cue {
  const { endEstimated: _, ...event } = word;
  return { type: "botWord", event };
}

/** Words and changes of state of one session, by position. */
export class Cues {
  #timeline = new Timeline();
  /** The timeline that a snapshot took the place of. */
  #before: Timeline | undefined;
  /** Where the times of open utterances come from. */
  readonly #sources = new Map<string, TimingSource>();
  #held: Held[] = [];
  #immediate = 0;
  #user: Pick<StateChanged, "user" | "userMuted"> = { user: "unknown", userMuted: false };

  /** True while an utterance is announced and has not ended. */
  get speaking(): boolean {
    return this.#sources.size > 0;
  }

  /** Takes the announcement of an utterance. */
  begin(message: wire.UtteranceStarted): void {
    const found = fromEnvelope(wire.envelope({ case: "utteranceStarted", value: message }));
    const source = found?.type === "utteranceStarted" ? found.event.source : "unknown";
    this.#sources.set(message.utteranceId, source);
    this.#timeline.begin(message.utteranceId, Number(message.mediaMs));
  }

  /**
   * Takes words of an utterance, ahead of their sound.
   *
   * @param soundedMs What sounds: words that are timed by their arrival come with it or behind it,
   *   and a position that was shown may have been ahead of a sound that stopped.
   */
  add(message: wire.UtteranceWords, soundedMs = Number.POSITIVE_INFINITY): void {
    const id = message.utteranceId;
    if (message.source === wire.TimingSource.ARRIVAL && message.baseMediaMs > soundedMs) {
      message.baseMediaMs = BigInt(Math.max(0, soundedMs));
    }
    const words = decodeWords(message, {
      textSoFar: this.#timeline.text(id),
      source: this.#sources.get(id) ?? "unknown",
    });
    this.#timeline.setText(id, message.textOffset, message.text);
    this.#timeline.add(words, message.revision);
    const fired = this.#before?.delivered(id) ?? 0;
    if (fired > 0) this.#timeline.skip(id, fired);
  }

  /** Takes the end of an utterance; its words that are still to sound stay. */
  end(message: wire.UtteranceEnded): void {
    this.#sources.delete(message.utteranceId);
    this.#timeline.end(message.utteranceId);
  }

  /** Takes a change of state; returns it if it applies at once. */
  change(message: wire.StateChanged, nowMs: number): Cue | undefined {
    const found = fromEnvelope(wire.envelope({ case: "stateChanged", value: message }));
    if (found?.type !== "stateChanged") return undefined;
    const event = this.#behindSpeech(found.event);
    if (event.mediaMs > 0) {
      this.#held.push({ event, sinceMs: nowMs, afterImmediate: this.#immediate });
      this.#held.sort((a, b) => a.event.mediaMs - b.event.mediaMs);
      return undefined;
    }
    this.#immediate += 1;
    this.#user = userOf(event);
    return { type: "stateChanged", event };
  }

  /**
   * Drops what a flush made void; returns the state that nothing newer replaces.
   *
   * @param mediaMs Where the sound stops.
   * @param untilMs Everything from there to here will not sound.
   */
  cut(mediaMs: number, untilMs: number): Cue[] {
    this.#timeline.cut(mediaMs, untilMs);
    const isVoid = ({ event }: Held) => mediaMs <= event.mediaMs && event.mediaMs <= untilMs;
    const last = this.#held.findLast(isVoid);
    this.#held = this.#held.filter((held) => !isVoid(held));
    return last && last.afterImmediate === this.#immediate ? [this.#release(last)] : [];
  }

  /** Returns what playout has reached, in order of position. */
  due(reached: Reached, nowMs: number): Cue[] {
    const due: Cue[] = [];
    for (const held of [...this.#held]) {
      // The bot speaks when a sample sounds; everything else happens once it is passed.
      const limitMs = held.event.bot === "speaking" ? reached.soundedMs : reached.passedMs;
      if (held.event.mediaMs > limitMs && nowMs - held.sinceMs < HELD_MS) break;
      const beforeMs = Math.min(held.event.mediaMs - 1, reached.soundedMs);
      due.push(...this.#timeline.advance(beforeMs).map(botWord), this.#release(held));
      this.#held.splice(this.#held.indexOf(held), 1);
    }
    due.push(...this.#timeline.advance(reached.soundedMs).map(botWord));
    return due;
  }

  /** Forgets what was announced; words that were fired do not fire again when they come again. */
  reset(): void {
    this.#before = this.#timeline;
    this.#timeline = new Timeline();
    this.#sources.clear();
    this.#held = [];
  }

  /**
   * Forgets everything but what a snapshot says. Words that were fired, and words before the
   * snapshot's position that were not known here, do not fire any more.
   */
  restore(snapshot: wire.Snapshot): void {
    const before = this.#timeline;
    this.reset();
    if (!snapshot.utterance?.utteranceId) return;
    const spoken = [snapshot.utterance, ...snapshot.queuedUtterances];
    for (const started of spoken) this.begin(started);
    for (const message of snapshot.words) this.add(message);
    const heardMs = Number(snapshot.heardMediaMs);
    for (const { utteranceId } of spoken) {
      let fired = before.delivered(utteranceId);
      if (fired === before.words(utteranceId).length) {
        const words = this.#timeline.words(utteranceId);
        fired = Math.max(fired, words.filter((word) => word.startMs <= heardMs).length);
      }
      this.#timeline.skip(utteranceId, fired);
    }
  }

  /** Position of the next word or change of state; undefined = nothing waits. */
  nextMs(): number | undefined {
    const wordMs = this.#timeline.nextDueMs();
    const stateMs = this.#held[0]?.event.mediaMs;
    if (wordMs === undefined || stateMs === undefined) return wordMs ?? stateMs;
    return Math.min(wordMs, stateMs);
  }

  /** A bot that the server takes for heard is not silent before it has spoken here: the server's
   * clock may run ahead of a speaker that stalls. */
  #behindSpeech(event: StateChanged): StateChanged {
    if (event.mediaMs || event.bot === "speaking" || event.user !== this.#user.user) return event;
    const speech = this.#held.findLast((held) => held.event.bot === "speaking");
    const wordMs = this.#timeline.lastDueMs();
    const mediaMs = Math.max(speech?.event.mediaMs ?? 0, wordMs === undefined ? 0 : wordMs + 1);
    return { ...event, mediaMs };
  }

  /** The change as it applies now: what the user does, or may do, may have changed since. */
  #release(held: Held): Cue {
    if (held.afterImmediate === this.#immediate) this.#user = userOf(held.event);
    return { type: "stateChanged", event: { ...held.event, ...this.#user } };
  }
}

function userOf({ user, userMuted }: StateChanged): Pick<StateChanged, "user" | "userMuted"> {
  return { user, userMuted };
}
