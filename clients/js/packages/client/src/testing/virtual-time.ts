/** A clock that a test moves. */

interface Timer {
  readonly atMs: number;
  readonly fn: () => void;
}

/** Time that passes only when a test says so. */
export class VirtualTime {
  #nowMs = 1000;
  #timers: Timer[] = [];
  readonly #loading = new Set<Promise<unknown>>();

  constructor() {
    this.now = this.now.bind(this);
    this.after = this.after.bind(this);
    this.load = this.load.bind(this);
  }

  /** Timers that have not fired. */
  get pending(): number {
    return this.#timers.length;
  }

  now(): number {
    return this.#nowMs;
  }

  after(ms: number, fn: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, ms), fn };
    const at = this.#timers.findLastIndex((one) => one.atMs <= timer.atMs);
    this.#timers.splice(at + 1, 0, timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  }

  /** `Environment.load`: time stands still while code is fetched. */
  load<T>(code: Promise<T>): Promise<T> {
    const done = () => this.#loading.delete(code);
    this.#loading.add(code);
    code.then(done, done);
    return code;
  }

  /** Lets `ms` pass: fires what is due, in order, and lets promises settle in between. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await this.#settled();
    for (;;) {
      const next = this.#timers[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#timers.shift();
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.fn();
      await this.#settled();
    }
    this.#nowMs = untilMs;
  }

  /** Lets time pass, at most `limitMs`, until the promise settles. Rejects as it does. */
  async until<T>(promise: Promise<T>, limitMs = 120_000): Promise<T> {
    let done = false;
    const finish = () => {
      done = true;
    };
    promise.then(finish, finish);
    await this.#settled();
    for (let leftMs = limitMs; !done && leftMs > 0; leftMs -= 10) await this.advance(10);
    if (!done) throw new Error(`not within ${limitMs} ms of virtual time`);
    return promise;
  }

  async #settled(): Promise<void> {
    await settled();
    while (this.#loading.size > 0) {
      await Promise.allSettled(this.#loading);
      await settled();
    }
  }
}

/** Taken at import: a test may put fake timers in its place. */
const realTimeout = globalThis.setTimeout;

/** Resolves when the promises that were settled have had their say. */
export function settled(): Promise<void> {
  return new Promise((resolve) => {
    if (!("MessageChannel" in globalThis)) {
      realTimeout(resolve, 0); // jsdom lacks it
      return;
    }
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });
}
