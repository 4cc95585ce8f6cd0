import type { Environment } from "./environment.js";

/** Owns timers, listeners and waits; `close` ends all of them at once, and nothing is left. */
export class Scope {
  readonly #controller = new AbortController();
  readonly #undo = new Set<() => void>();

  constructor(
    readonly env: Environment,
    parent?: Scope,
  ) {
    if (parent === undefined) return;
    if (parent.closed) this.#controller.abort(parent.signal.reason);
    else this.defer(parent.defer(() => this.close(parent.signal.reason)));
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get closed(): boolean {
    return this.signal.aborted;
  }

  /** Calls `fn` at the end of the scope (now, if that was); the returned function prevents it. */
  defer(fn: () => void): () => void {
    if (this.closed) {
      fn();
      return () => {};
    }
    this.#undo.add(fn);
    return () => this.#undo.delete(fn);
  }

  /** Calls `fn` after `ms` unless the scope ends first; the returned function calls it off. */
  after(ms: number, fn: () => void): () => void {
    if (this.closed) return () => {};
    const cancel = this.env.after(Math.max(0, ms), () => {
      forget();
      fn();
    });
    const forget = this.defer(cancel);
    return () => {
      forget();
      cancel();
    };
  }

  /** Rejects with the scope's reason if it ends before. */
  sleep(ms: number): Promise<void> {
    return this.wait((resolve) => this.after(ms, resolve));
  }

  /** A promise that the end of the scope rejects. `begin` may return what gives up waiting. */
  wait<T>(
    // biome-ignore lint/suspicious/noConfusingVoidType: most have nothing to give up
    begin: (resolve: (value: T) => void, reject: (error: unknown) => void) => (() => void) | void,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.closed) {
        reject(this.signal.reason);
        return;
      }
      let stop: (() => void) | undefined;
      let done = false;
      const settle = () => {
        if (done) return false;
        done = true;
        forget();
        stop?.();
        return true;
      };
      const forget = this.defer(() => {
        if (settle()) reject(this.signal.reason);
      });
      stop =
        begin(
          (value) => {
            if (settle()) resolve(value);
          },
          (error) => {
            if (settle()) reject(error);
          },
        ) ?? undefined;
      if (done) stop?.();
    });
  }

  /** The promise, or the scope's reason when it ends before; after `ms`, the error of `late`. */
  race<T>(promise: Promise<T>, ms?: number, late?: () => unknown): Promise<T> {
    promise.catch(() => {}); // it may fail when nobody waits any more
    return this.wait<T>((resolve, reject) => {
      promise.then(resolve, reject);
      return ms === undefined ? undefined : this.after(ms, () => reject(late?.()));
    });
  }

  /** Ends the scope; the first reason counts. */
  close(reason: unknown = new Error("the scope ended")): void {
    if (this.closed) return;
    this.#controller.abort(reason);
    const undo = [...this.#undo].reverse();
    this.#undo.clear();
    for (const fn of undo) fn();
  }
}
