/** Runs the client's tools for the bot: the driver around the pure `ToolRuns`. Loaded where there
 * are some. */
import {
  type CallResult,
  codeToWire,
  dumpJson,
  makeError,
  parseJson,
  ToolRuns,
  VoxwireError,
} from "@voxwire/protocol";
import * as wire from "@voxwire/protocol/wire";
import type { Payload } from "../media/media.js";
import { nameOf } from "./attach.js";
import type { OwnCall } from "./conversation.js";
import type { Send } from "./opening.js";
import { Scope } from "./scope.js";
import { ToolError } from "./tool.js";
import type { Tool, ToolCall } from "./tool-shape.js";

/** Most tools that run at once. */
const MAX_RUNNING = 32;
/** A longer deadline is taken for this one, milliseconds. */
const MAX_TIMEOUT_MS = 600_000;
const MAX_REASON_CHARS = 500;
const MAX_NOTE_BYTES = 4096;

export interface ToolsHost {
  readonly tools: readonly Tool[];
  /** What is known here about a call that this client runs. */
  own(happened: OwnCall): void;
  failed(error: unknown, during: string): void;
}

export type ToolPayload = Extract<Payload, { case: "toolRequest" | "toolCancel" }>;
/** A message, and when it came. */
export type Late = readonly [payload: ToolPayload, atMs: number];

interface Running {
  readonly scope: Scope;
  callToken: Uint8Array<ArrayBuffer>;
}

/** The tools of one session. A lost connection changes nothing here: what is sent goes to the
 * control channel, which keeps it, and a request that comes again does not run again. */
export class ToolRunner {
  readonly #runs = new ToolRuns();
  readonly #running = new Map<string, Running>();

  constructor(
    private readonly scope: Scope,
    private readonly host: ToolsHost,
    private readonly send: Send,
  ) {}

  /** Takes `ToolRequest` or `ToolCancel`. */
  receive(payload: ToolPayload): void {
    if (this.scope.closed) return;
    if (payload.case === "toolRequest") this.#request(payload.value);
    else this.#withdraw(payload.value.callId, cancelled());
  }

  /** Takes what came before it was there; not what nobody waits for any more. */
  catchUp(late: readonly Late[]): void {
    const now = this.scope.env.now();
    for (const [payload, atMs] of late) {
      if (payload.case === "toolRequest") {
        payload.value.timeoutMs -= Math.floor(now - atMs);
        if (payload.value.timeoutMs <= 0) continue;
      }
      this.receive(payload);
    }
  }

  #request(request: wire.ToolRequest): void {
    const { callId } = request;
    const callToken = request.callToken.slice();
    switch (this.#runs.request(callId)) {
      case "start":
        this.#running.set(callId, { scope: new Scope(this.scope.env, this.scope), callToken });
        this.#say({ case: "toolAccepted", value: { callId } });
        this.host.own({ type: "ownCall", event: { callId } });
        void this.#run(request);
        return;
      case "running": {
        const running = this.#running.get(callId);
        if (running) running.callToken = callToken;
        this.#say({ case: "toolAccepted", value: { callId } });
        return;
      }
      case "finished": {
        const result = this.#runs.resultOf(callId);
        if (result !== undefined) this.#sendResult(callId, callToken, result);
        return;
      }
      default:
        return;
    }
  }

  /** Runs one tool and sends what it gave; past its deadline it is stopped in silence, since the
   * server's own deadline has passed then. */
  async #run(request: wire.ToolRequest): Promise<void> {
    const { callId, name } = request;
    const running = this.#running.get(callId);
    if (running === undefined) return;
    const { scope } = running;
    const timeoutMs = Math.min(request.timeoutMs, MAX_TIMEOUT_MS);
    scope.after(timeoutMs, () => this.#withdraw(callId, makeError("timeout", "too late")));
    let result: CallResult;
    try {
      const tool = this.host.tools.find((one) => one.name === name);
      if (tool === undefined) throw makeError("unsupported", "there is no such tool");
      if (this.#running.size > MAX_RUNNING) throw makeError("capacity", "too many tools run");
      const value = parseJson(request.argumentsJson || "{}");
      const args = tool.parse ? await scope.race(tool.parse(value)) : value;
      const call = this.#call(callId, name, scope);
      const given = await scope.race(Promise.resolve(tool.run(args as never, call)));
      result = dumpJson(given);
    } catch (error) {
      if (scope.closed) return; // withdrawn: nobody waits
      if (!(error instanceof VoxwireError)) this.host.failed(error, `tool ${name}`);
      result = callError(error);
    }
    if (!this.#runs.finish(callId, result)) return;
    this.#running.delete(callId);
    scope.close(makeError("invalid_state", "the call is over"));
    this.#sendResult(callId, running.callToken, result);
  }

  #call(id: string, name: string, scope: Scope): ToolCall {
    return {
      id,
      name,
      signal: scope.signal,
      progress: (message, fraction) => {
        if (scope.closed) return;
        const note = fraction === undefined ? { message } : { message, fraction };
        const noteJson = dumpJson(note, { maxBytes: MAX_NOTE_BYTES });
        this.#say({ case: "toolProgress", value: { callId: id, noteJson } });
        this.host.own({ type: "ownProgress", event: { callId: id, message } });
      },
    };
  }

  #withdraw(callId: string, why: VoxwireError): void {
    if (this.#runs.withdraw(callId) !== "stop") return;
    const running = this.#running.get(callId);
    this.#running.delete(callId);
    running?.scope.close(why);
  }

  #sendResult(callId: string, callToken: Uint8Array<ArrayBuffer>, result: CallResult): void {
    const outcome =
      typeof result === "string"
        ? ({ case: "resultJson", value: result } as const)
        : ({ case: "error", value: errorOf(callId, result) } as const);
    this.#say({ case: "toolResult", value: { callId, callToken, outcome } });
  }

  #say(payload: wire.PayloadInit): void {
    if (this.scope.closed) return;
    try {
      this.send(payload);
    } catch (error) {
      this.host.failed(error, "tools");
    }
  }
}

function errorOf(callId: string, { code, reason, retryable }: Exclude<CallResult, string>) {
  return wire.create(wire.ErrorSchema, {
    code: codeToWire(code),
    reason,
    retryable,
    subjectId: callId,
  });
}

const cancelled = () => makeError("invalid_state", "the bot withdrew the call");

/** What the bot is told: a `ToolError`'s words, of anything else its name. */
function callError(error: unknown): CallResult {
  if (error instanceof ToolError) {
    const reason = error.message.slice(0, MAX_REASON_CHARS);
    return { code: "tool_failed", reason, retryable: false };
  }
  if (error instanceof VoxwireError) {
    return { code: error.code, reason: error.reason, retryable: error.retryable };
  }
  return { code: "tool_failed", reason: nameOf(error), retryable: false };
}
