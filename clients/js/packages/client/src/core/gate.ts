import type { Simulate } from "../api.js";
import type { Environment } from "./environment.js";

/** One direction of a simulated network: in order, late by `delayMs`, held while frozen. */
class Lane {
  readonly #waiting: { readonly dueMs: number; readonly pass: () => void }[] = [];
  #cancel: (() => void) | undefined;

  constructor(
    private readonly env: Environment,
    private readonly gate: Gate,
  ) {}

  let(pass: () => void): void {
    if (this.#waiting.length === 0 && this.gate.open && this.gate.delayMs === 0) {
      pass();
      return;
    }
    this.#waiting.push({ dueMs: this.env.now() + this.gate.delayMs, pass });
    this.pump();
  }

  readonly pump = (): void => {
    this.#cancel?.();
    this.#cancel = undefined;
    while (this.gate.open) {
      const next = this.#waiting[0];
      if (next === undefined) return;
      const leftMs = next.dueMs - this.env.now();
      if (leftMs > 0) {
        this.#cancel = this.env.after(leftMs, this.pump);
        return;
      }
      this.#waiting.shift();
      next.pass();
    }
  };

  clear(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#waiting.length = 0;
  }
}

/** What every message of a session's control channel passes through, each way on its own. */
export class Gate {
  delayMs = 0;
  #frozen = 0;
  readonly out: Lane;
  readonly in: Lane;

  constructor(env: Environment) {
    this.out = new Lane(env, this);
    this.in = new Lane(env, this);
  }

  get open(): boolean {
    return this.#frozen === 0;
  }

  freeze(): () => void {
    this.#frozen += 1;
    let frozen = true;
    return () => {
      if (!frozen) return;
      frozen = false;
      this.#frozen -= 1;
      this.out.pump();
      this.in.pump();
    };
  }

  /** Forgets what waits: its session is over. */
  clear(): void {
    this.out.clear();
    this.in.clear();
  }
}

/** Trouble on demand; it works on whatever session there is. */
export function simulation(
  gate: Gate,
  session: () => { dropControl(): void; dropMedia(): void } | undefined,
): Simulate {
  return {
    dropControl: () => session()?.dropControl(),
    dropMedia: () => session()?.dropMedia(),
    freeze: () => gate.freeze(),
    slow(delayMs) {
      gate.delayMs = Math.max(0, delayMs);
      gate.out.pump();
      gate.in.pump();
    },
  };
}
