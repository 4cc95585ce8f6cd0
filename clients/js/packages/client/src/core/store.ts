import type { Readable } from "../api.js";

/** A value to read and to follow; a listener that throws is told to `report`. */
export class Store<T> implements Readable<T> {
  readonly #listeners = new Set<() => void>();
  #value: T;

  constructor(
    value: T,
    private readonly report: (error: unknown) => void,
  ) {
    this.#value = value;
    this.get = this.get.bind(this); // they are handed to useSyncExternalStore as they are
    this.subscribe = this.subscribe.bind(this);
  }

  get(): T {
    return this.#value;
  }

  subscribe(listener: () => void): () => void {
    const own = () => listener();
    this.#listeners.add(own);
    return () => {
      this.#listeners.delete(own);
    };
  }

  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const listener of [...this.#listeners]) {
      try {
        listener();
      } catch (error) {
        this.report(error);
      }
    }
  }
}
