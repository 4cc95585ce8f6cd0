import { makeError } from "@voxwire/protocol";
import type { AnyEvent, CallOptions, ClientEventMap, EventType } from "../api.js";
import type { Environment } from "./environment.js";

/** Most events that wait in one iterator to be read. */
export const MAX_QUEUED = 8192;

type Listener = (event: never) => void;
interface Reader {
  put(event: AnyEvent): void;
  end(): void;
}

/** Handlers, iterators and taps of one client. A handler that throws is told to `report`. */
export class Emitter {
  readonly #listeners = new Map<EventType, Set<Listener>>();
  readonly #readers = new Set<Reader>();
  readonly #waiting = new Set<(error: unknown) => void>();

  constructor(
    private readonly env: Environment,
    private readonly report: (error: unknown, during: string) => void,
  ) {}

  on<K extends EventType>(type: K, listener: (event: ClientEventMap[K]) => void): () => void {
    const own: Listener = (event) => listener(event); // the same function may be added twice
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(own));
    return () => {
      listeners.delete(own);
    };
  }

  once<K extends EventType>(type: K, options: CallOptions = {}): Promise<ClientEventMap[K]> {
    const { signal, timeoutMs = 10_000 } = options;
    return new Promise((resolve, reject) => {
      const undo = [
        this.on(type, (event) => {
          stop();
          resolve(event);
        }),
        this.env.after(timeoutMs, () =>
          fail(makeError("timeout", `no ${type} within ${timeoutMs} ms`)),
        ),
        () => signal?.removeEventListener("abort", aborted),
        () => this.#waiting.delete(fail),
      ];
      const stop = () => {
        for (const fn of undo) fn();
      };
      const fail = (error: unknown) => {
        stop();
        reject(error);
      };
      const aborted = () => fail(signal?.reason);
      this.#waiting.add(fail);
      if (signal?.aborted) aborted();
      else signal?.addEventListener("abort", aborted);
    });
  }

  emit<K extends EventType>(type: K, event: ClientEventMap[K]): void {
    for (const listener of [...(this.#listeners.get(type) ?? [])]) {
      try {
        (listener as (event: ClientEventMap[K]) => void)(event);
      } catch (error) {
        this.report(error, type);
      }
    }
    for (const reader of [...this.#readers]) reader.put({ type, event } as AnyEvent);
  }

  /** The events from now on, until `end`. What is not read in time is counted, oldest first. */
  events(signal?: AbortSignal): AsyncIterable<AnyEvent> {
    const { readers, queue } = { readers: this.#readers, queue: new Queue() };
    const end = () => {
      readers.delete(queue);
      signal?.removeEventListener("abort", end);
      queue.end();
    };
    readers.add(queue);
    if (signal?.aborted) end();
    else signal?.addEventListener("abort", end);
    return {
      [Symbol.asyncIterator]: () => ({
        next: () => queue.next(),
        return() {
          end();
          queue.clear();
          return Promise.resolve({ done: true as const, value: undefined });
        },
      }),
    };
  }

  /** The session is over: iterators end behind what is queued, waits fail with `error`. */
  end(error: unknown): void {
    for (const reader of [...this.#readers]) reader.end();
    this.#readers.clear();
    for (const fail of [...this.#waiting]) fail(error);
  }
}

/** A bounded queue; of what does not fit the oldest goes, and `eventsSkipped` says so. */
class Queue implements Reader {
  #events: AnyEvent[] = [];
  #skipped = 0;
  #ended = false;
  #wake: (() => void)[] = [];

  put(event: AnyEvent): void {
    if (this.#ended) return;
    if (this.#events.length >= MAX_QUEUED) {
      this.#events.shift();
      this.#skipped += 1;
    }
    this.#events.push(event);
    this.#wake.shift()?.();
  }

  end(): void {
    this.#ended = true;
    for (const wake of this.#wake.splice(0)) wake();
  }

  clear(): void {
    this.#events = [];
    this.#skipped = 0;
  }

  async next(): Promise<IteratorResult<AnyEvent, undefined>> {
    for (;;) {
      if (this.#skipped > 0) {
        const count = this.#skipped;
        this.#skipped = 0;
        const event = { count, unsent: 0, snapshot: undefined };
        return { done: false, value: { type: "eventsSkipped", event } };
      }
      const value = this.#events.shift();
      if (value !== undefined) return { done: false, value };
      if (this.#ended) return { done: true, value: undefined };
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }
}
