/** When the user speaks: behind the bot's turns, or into them. */
import type { BotState } from "@voxwire/protocol";

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

export class TurnScript {
  readonly done: Promise<void>;
  #finish: () => void = () => {};
  #ended = false;
  #began = false;
  #bot: BotState = "idle";
  #idleSinceMs = performance.now();
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

  word(): void {
    this.#spoke = true;
    this.#firstWordMs ??= performance.now();
  }

  state(bot: BotState): void {
    if (bot === "idle" && this.#bot !== "idle") this.#idleSinceMs = performance.now();
    if (bot !== "speaking" && bot !== "thinking") this.#firstWordMs = undefined;
    this.#bot = bot;
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

  #arm(): void {
    this.#spoke = false;
    this.#firstWordMs = undefined;
  }

  #after(ms: number): boolean {
    return this.#firstWordMs !== undefined && performance.now() >= this.#firstWordMs + ms;
  }

  /** Waits until the bot has spoken and is idle; or does neither for `patienceMs`. */
  #turnOver(patienceMs: number): Promise<void> {
    const untilMs = performance.now() + patienceMs;
    return this.#until(() => {
      const now = performance.now();
      if (this.#bot !== "idle" || now - this.#idleSinceMs < ENDED_MS) return false;
      return this.#spoke || now > untilMs;
    });
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!this.#ended && !condition()) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}
