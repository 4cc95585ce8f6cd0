/** Questions both ways over `AppMessage`: a request names itself, its answer repeats the name; an
 * `Error` about that name is an answer, too. */
import {
  dumpJson,
  errorFromWire,
  errorToWire,
  type JsonValue,
  makeError,
  type wire,
} from "@voxwire/protocol";
import type { CallOptions } from "../api.js";
import { asError } from "./attach.js";
import { randomId } from "./environment.js";
import type { Send } from "./opening.js";
import type { Scope } from "./scope.js";

export type Handler = (payload: JsonValue) => JsonValue | Promise<JsonValue>;

/** Questions of the bot that are answered at a time; more are refused. */
const MAX_ANSWERING = 64;

export interface RequestsOptions {
  readonly send: Send;
  /** What answers a method; undefined = nobody. */
  handler(method: string): Handler | undefined;
  /** A handler threw. */
  failed(error: unknown, method: string): void;
}

/** The requests of one session. */
export class Requests {
  readonly #open = new Map<
    string,
    { resolve(value: JsonValue): void; reject(error: unknown): void }
  >();
  #answering = 0;

  constructor(
    private readonly scope: Scope,
    private readonly options: RequestsOptions,
  ) {}

  /** Asks the bot; rejects with its error, on timeout, on abort and when the session ends. */
  call(method: string, payload: JsonValue, options: CallOptions): Promise<JsonValue> {
    const { signal, timeoutMs = 10_000 } = options;
    const requestId = randomId(this.scope.env, 12);
    return this.scope.wait<JsonValue>((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const dataJson = dumpJson(payload);
      this.options.send({ case: "appMessage", value: { type: method, dataJson, requestId } });
      this.#open.set(requestId, { resolve, reject });
      const aborted = () => reject(signal?.reason);
      signal?.addEventListener("abort", aborted);
      const late = () => makeError("timeout", `${method} was not answered`, { retryable: true });
      const cancel = this.scope.after(timeoutMs, () => reject(late()));
      return () => {
        this.#open.delete(requestId);
        signal?.removeEventListener("abort", aborted);
        cancel();
      };
    });
  }

  /** Takes a message of the application; true when it was a request or an answer. */
  receive(message: wire.AppMessage, data: JsonValue | undefined): boolean {
    const { requestId, response } = message;
    if (requestId === "") return false;
    if (response) this.#open.get(requestId)?.resolve(data ?? null);
    else void this.#answer(message, data ?? null);
    return true;
  }

  /** Takes an error of the server; true when it answers a request. */
  refuse(error: wire.Error): boolean {
    const open = this.#open.get(error.subjectId);
    open?.reject(errorFromWire(error));
    return open !== undefined;
  }

  async #answer({ type, requestId }: wire.AppMessage, payload: JsonValue): Promise<void> {
    const handler = this.options.handler(type);
    this.#answering += 1;
    try {
      if (handler === undefined) throw makeError("unsupported", "nobody answers that here");
      if (this.#answering > MAX_ANSWERING) throw makeError("capacity", "too much is asked at once");
      const dataJson = dumpJson(await this.scope.race(Promise.resolve(handler(payload))));
      this.#reply({
        case: "appMessage",
        value: { type, requestId, response: true, dataJson },
      });
    } catch (error) {
      if (this.scope.closed) return;
      if (handler) this.options.failed(error, type);
      this.#reply({ case: "error", value: errorToWire(asError(error), { subjectId: requestId }) });
    } finally {
      this.#answering -= 1;
    }
  }

  #reply(payload: wire.PayloadInit): void {
    if (this.scope.closed) return;
    try {
      this.options.send(payload);
    } catch (error) {
      this.options.failed(error, "answer");
    }
  }
}
