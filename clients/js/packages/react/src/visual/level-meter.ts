import type { Levels } from "@voxwire/client";

const RISE_MS = 60;
const FALL_MS = 240;
const COLUMN_MS = 50;
const COLUMNS = 64;

/** Levels over time: smooth ones (fast up, slow down), and a history of columns. */
export class LevelMeter {
  smooth: Levels = { microphone: 0, bot: 0 };
  readonly #history = { microphone: zeros(), bot: zeros() };
  #sinceColumnMs = 0;

  /** Takes the levels of now; `stepMs` have passed. */
  take(levels: Levels, stepMs: number): void {
    this.smooth = {
      microphone: follow(this.smooth.microphone, levels.microphone, stepMs),
      bot: follow(this.smooth.bot, levels.bot, stepMs),
    };
    this.#sinceColumnMs += stepMs;
    if (this.#sinceColumnMs < COLUMN_MS) return;
    this.#sinceColumnMs %= COLUMN_MS;
    for (const side of ["microphone", "bot"] as const) {
      this.#history[side].push(this.smooth[side]);
      this.#history[side].shift();
    }
  }

  /** 64 columns of 50 ms, the newest last. */
  historyOf(side: keyof Levels): readonly number[] {
    return this.#history[side];
  }
}

const zeros = () => new Array<number>(COLUMNS).fill(0);

const follow = (from: number, to: number, stepMs: number) =>
  from + (to - from) * (1 - Math.exp(-stepMs / (to > from ? RISE_MS : FALL_MS)));
