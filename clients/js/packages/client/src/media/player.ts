/**
 * The player: follows the path in use and says where the speaker is.
 *
 * No DOM: clock, timer and track are given. Times are milliseconds of one monotonic clock.
 */
import type { ClientEvents } from "@voxwire/protocol";
import * as wire from "@voxwire/protocol/wire";
import { Cues } from "./cues.js";
import type { Payload } from "./media.js";
import type { Reached } from "./position.js";

/** A report goes out this often while the bot speaks. */
const REPORT_MS = 100;
/** How often the track is looked at while something sounds or waits, and while nothing does. */
const TICK_MS = 20;
const IDLE_TICK_MS = 100;

/** The sound of one path, as far as the player needs to know it. */
export interface Track {
  readonly pathId: number;
  /** Audio received and not yet played, and audio made up to hide gaps, milliseconds. */
  readonly bufferedMs: number;
  readonly concealedMs: number;
  /** True while nothing can be played (the browser blocks or interrupts it): the position stands. */
  readonly suspended: boolean;
  /** Position of the next sample to sound. */
  positionMs(nowMs: number): number;
  reached(nowMs: number): Reached;
  /** When the sample at a position sounds; undefined = not as far as is known. */
  timeOf(mediaMs: number): number | undefined;
  /** True while bot audio sounds; `speaking` = an utterance is announced and has not ended. */
  sounding(nowMs: number, speaking: boolean): boolean;
  /** Falls silent within 20 ms; resolves with the position at which the sound stops. */
  flush(untilMs: number): Promise<number>;
}

export interface PlayerOptions {
  readonly now: () => number;
  /** Calls `fn` after `ms`; returns what calls it off. The program's own timers when absent. */
  readonly after?: (ms: number, fn: () => void) => () => void;
  emit<K extends keyof ClientEvents>(type: K, event: ClientEvents[K]): void;
  send(payload: Payload): void;
}

interface Flushing {
  readonly flushId: number;
  readonly mediaMs: number;
}

function timer(ms: number, fn: () => void): () => void {
  const id = setTimeout(fn, ms);
  return () => clearTimeout(id);
}

/** Plays nothing itself: words, states, reports and flushes of one session. */
export class Player {
  readonly #options: PlayerOptions;
  readonly #cues = new Cues();
  #track: Track | undefined;
  #cancel: () => void = () => undefined;
  #sounding = false;
  #suspended = false;
  #reportedAtMs = Number.NEGATIVE_INFINITY;
  #reportedMs = 0;
  #shownMs = 0;
  /** Flushes whose answer is on its way, and answers that wait for a path. */
  #flushing = 0;
  #unanswered: Flushing[] = [];
  #flushedOn = 0;
  #closed = false;

  constructor(options: PlayerOptions) {
    this.#options = options;
  }

  /** Position of the sample that sounds now, milliseconds of the media clock; only grows. */
  get positionMs(): number {
    const here = this.#track?.positionMs(this.#options.now()) ?? 0;
    this.#shownMs = Math.max(this.#shownMs, Math.floor(here));
    return this.#shownMs;
  }

  /** Follows this path from now on; reports where it really is, and answers what was flushed. */
  follow(track: Track): void {
    this.#track = track;
    this.#sounding = false;
    this.#suspended = track.suspended;
    this.#report();
    const answers = this.#unanswered;
    this.#unanswered = [];
    for (const { flushId, mediaMs } of answers) this.#report({ flushId, mediaMs });
    this.update();
  }

  /** The path is gone: flushes are answered on the next one. */
  leave(track: Track): void {
    if (this.#track !== track) return;
    this.#shownMs = Math.max(this.#shownMs, this.positionMs);
    this.#track = undefined;
    this.#sounding = false;
  }

  /** Takes what the server says about utterances, words, states and silence, in order. */
  receive(payload: Payload): void {
    switch (payload.case) {
      case "utteranceStarted":
        this.#cues.begin(payload.value);
        break;
      case "utteranceWords":
        this.#cues.add(payload.value, this.#track?.reached(this.#options.now()).soundedMs);
        break;
      case "utteranceEnded":
        this.#cues.end(payload.value);
        break;
      case "stateChanged": {
        const cue = this.#cues.change(payload.value, this.#options.now());
        if (cue) this.#options.emit(cue.type, cue.event);
        break;
      }
      case "flush":
        void this.#flush(payload.value);
        return;
      default:
        return;
    }
    this.update();
  }

  /** Forgets what was announced. With a snapshot, goes on from what that says. */
  reset(snapshot?: wire.Snapshot): void {
    this.#unanswered = [];
    if (snapshot) this.#cues.restore(snapshot);
    else this.#cues.reset();
    this.update();
  }

  /** Emits what was reached, reports if it is time, and sets a timer for what comes next. */
  update(): void {
    if (this.#closed) return;
    this.#cancel();
    const track = this.#track;
    const nowMs = this.#options.now();
    if (track) {
      this.#follow(track, nowMs);
      if (this.#flushing === 0 && !this.#suspended) this.#release(track.reached(nowMs), nowMs);
    }
    const after = this.#options.after ?? timer;
    this.#cancel = after(this.#pauseMs(track, nowMs), () => this.update());
  }

  /** Lets everything happen that was reached, and ends. */
  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  #follow(track: Track, nowMs: number): void {
    const sounding = track.sounding(nowMs, this.#cues.speaking);
    const { suspended } = track;
    if (sounding !== this.#sounding || suspended !== this.#suspended) {
      this.#sounding = sounding;
      this.#suspended = suspended;
      this.#report();
    } else if (
      (sounding || this.#cues.speaking) &&
      nowMs - this.#reportedAtMs >= REPORT_MS - TICK_MS / 4
    ) {
      this.#report();
    }
  }

  #pauseMs(track: Track | undefined, nowMs: number): number {
    const nextMs = this.#cues.nextMs();
    const busy = this.#sounding || this.#cues.speaking || nextMs !== undefined;
    const pauseMs = busy ? TICK_MS : IDLE_TICK_MS;
    const dueMs = nextMs === undefined ? undefined : track?.timeOf(nextMs);
    return dueMs === undefined ? pauseMs : Math.max(1, Math.min(pauseMs, dueMs - nowMs));
  }

  #release(reached: Reached, nowMs: number): void {
    for (const cue of this.#cues.due(reached, nowMs)) this.#options.emit(cue.type, cue.event);
  }

  /** Falls silent at once, whichever path the flush is about, and says where. */
  async #flush(message: wire.Flush): Promise<void> {
    const untilMs = Number(message.untilMediaMs);
    const { flushId } = message;
    this.#flushedOn = message.pathId;
    this.#flushing += 1;
    const track = this.#track;
    const stopMs = Math.ceil((await track?.flush(untilMs)) ?? this.#shownMs);
    this.#flushing -= 1;
    if (this.#closed) return;
    this.#sounding = false;
    this.#report({ flushId, mediaMs: stopMs });
    this.#release({ soundedMs: stopMs - 1, passedMs: stopMs - 1 }, this.#options.now());
    for (const cue of this.#cues.cut(stopMs, untilMs)) this.#options.emit(cue.type, cue.event);
    this.#options.emit("flushed", { mediaMs: stopMs, flushId, untilMediaMs: untilMs });
    this.update();
  }

  /** Sends a report; the answer to a flush on a path to come waits for that path. */
  #report(flushed?: Flushing): void {
    const track = this.#track;
    if (flushed && (!track || this.#flushedOn > track.pathId)) {
      this.#unanswered.push(flushed);
      return;
    }
    if (!track) return;
    const nowMs = this.#options.now();
    const here = track.positionMs(nowMs);
    const mediaMs = flushed?.mediaMs ?? (this.#sounding ? Math.floor(here) : Math.ceil(here));
    this.#reportedAtMs = nowMs;
    this.#reportedMs = Math.max(this.#reportedMs, mediaMs);
    this.#options.send({
      case: "playoutReport",
      value: wire.create(wire.PlayoutReportSchema, {
        pathId: track.pathId,
        mediaMs: BigInt(this.#reportedMs),
        bufferedMs: Math.max(0, Math.round(track.bufferedMs)),
        concealedMs: Math.max(0, Math.round(track.concealedMs)),
        flushId: flushed?.flushId ?? 0,
        playing: this.#sounding && !flushed,
        suspended: this.#suspended,
      }),
    });
  }
}
