/** When the user speaks: behind the bot's turns, or into them. */
import type { BotState, UserState } from "@voxwire/protocol";

/** How long a greeting is waited for, and an answer that does not come, milliseconds. */
const GREETING_MS = 4000;
const ANSWER_MS = 10_000;
/** The bot's turn has ended when it has been idle for this long. */
const ENDED_MS = 400;
const POLL_MS = 20;

export interface Turn {
  play(): Promise<void>;
  /** This long after the bot's next first word; undefined = behind its turn. */
  readonly afterMs: number | undefined;
}

/** Waits are counted in looks, not by the clock: a stall of this program is no silence. */
export class TurnScript {
  readonly done: Promise<void>;
  #finish: () => void = () => {};
  #ended = false;
  #began = false;
  #quiet = true;
  #quietMs = 0;
  /** Utterances that have sounded, and those of them that belong to the turn before. */
  readonly #known = new Set<string>();
  #before: ReadonlySet<string> = new Set();
  /** Since the user spoke last. */
  #spoke = false;
  #firstWordMs: number | undefined;

  constructor(private readonly turns: readonly Turn[]) {
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  begin(): void {
    this.#arm();
    if (this.#began) return;
    this.#began = true;
    void this.#run().finally(() => this.#finish());
  }

  end(): void {
    this.#ended = true;
  }

  /** A word of the bot sounds. */
  word(utteranceId: string): void {
    this.#known.add(utteranceId);
    if (this.#before.has(utteranceId)) return;
    this.#spoke = true;
    this.#firstWordMs ??= performance.now();
  }

  state(bot: BotState, user: UserState): void {
    if (bot !== "speaking" && bot !== "thinking") this.#firstWordMs = undefined;
    this.#quiet = bot === "idle" && user !== "speaking";
    this.#quietMs = 0;
  }

  /** The bot was cut short: what it said so far answers nothing. */
  cut(): void {
    this.#arm();
  }

  async #run(): Promise<void> {
    for (const [number, { play, afterMs }] of this.turns.entries()) {
      if (afterMs !== undefined) await this.#until(() => this.#after(afterMs));
      else await this.#turnOver(number === 0 ? GREETING_MS : ANSWER_MS);
      if (this.#ended) return;
      this.#arm();
      await play();
    }
    if (this.turns.length > 0) await this.#turnOver(ANSWER_MS);
  }

  /** What the bot says from here on is its next turn. */
  #arm(): void {
    this.#before = new Set(this.#known);
    this.#spoke = false;
    this.#firstWordMs = undefined;
    this.#quietMs = 0;
  }

  #after(ms: number): boolean {
    return this.#firstWordMs !== undefined && performance.now() >= this.#firstWordMs + ms;
  }

  /** Waits until the bot has spoken and is idle; or does neither for `patienceMs`. */
  #turnOver(patienceMs: number): Promise<void> {
    let waitedMs = 0;
    return this.#until(() => {
      waitedMs += POLL_MS;
      if (this.#quiet) this.#quietMs += POLL_MS;
      return this.#quietMs >= ENDED_MS && (this.#spoke || waitedMs > patienceMs);
    });
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!this.#ended && !condition()) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}
