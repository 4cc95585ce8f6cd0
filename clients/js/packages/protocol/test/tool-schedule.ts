import { expect } from "vitest";
import type {
  Call,
  CallResult,
  Effect,
  Executor,
  OnInterruption,
  Terminal,
} from "../src/tool-calls.js";
import { ToolUseError } from "../src/tool-calls.js";
import { ToolRuns } from "../src/tool-runs.js";
import { ToolCalls } from "../src/tools.js";

export type Step =
  | { op: "request"; executor: Executor; policy: OnInterruption; timeoutMs: number }
  | { op: "toClient" | "toServer"; at: number; repeat: boolean; drop: boolean }
  | { op: "toBoth" | "answerTwice" | "bargeIn" | "finishOnServer" | "resume" }
  | { op: "work"; at: number; finish: boolean }
  | { op: "answerAtTheDeadline"; afterMs: number }
  | { op: "forge"; at: number; flip: number; other: number }
  | { op: "passTime"; passedMs: number; tick: boolean }
  | { op: "cancel"; at: number; by: Executor }
  | { op: "lose"; keep: boolean }
  | { op: "beAway"; keep: boolean; passedMs: number; tick: boolean };

interface Message {
  readonly kind: "request" | "accept" | "progress" | "result" | "cancel";
  readonly callId: string;
}

const ACCEPT_WITHIN_MS = 500;
const MAX_OPEN = 4;
const RESULTS: readonly CallResult[] = [
  "1",
  "null",
  { code: "tool_failed", reason: "no", retryable: false },
];

/**
 * One session's tool calls, both sides, over a line with faults; checks itself after every step.
 *
 * The client's own results may be lost with the line; a call ends all the same, by its deadline.
 */
export class Schedule {
  /** What the server's side was told, by kind. */
  readonly seen = new Set<string>();
  readonly #calls = new ToolCalls({
    defaultTimeoutMs: 3000,
    acceptWithinMs: ACCEPT_WITHIN_MS,
    maxOpen: MAX_OPEN,
    maxResultBytes: 100,
  });
  readonly #runs = new ToolRuns();
  readonly #made = new Map<string, Call>();
  readonly #results = new Map<string, CallResult>();
  readonly #started = new Map<string, number>();
  readonly #ended = new Map<string, Terminal>();
  readonly #hooked = new Set<string>();
  /** What the client must have taken by when. */
  readonly #acceptDueMs = new Map<string, number>();
  #down: Message[] = [];
  #up: Message[] = [];
  #nowMs = 0;
  #attached = true;

  run(step: Step): void {
    switch (step.op) {
      case "request":
        this.#request(step);
        break;
      case "toClient":
        this.#toClient(step.at, step.repeat, step.drop);
        break;
      case "toServer":
        this.#toServer(step.at, step.repeat, step.drop);
        break;
      case "toBoth":
        while (this.#down.length > 0) this.#toClient(0, false, false);
        while (this.#up.length > 0) this.#toServer(0, false, false);
        break;
      case "work":
        this.#work(step.at, step.finish);
        break;
      case "answerTwice":
        for (const callId of this.#runs.running) {
          if (this.#runs.finish(callId, this.#resultOf(callId))) {
            this.#up.push({ kind: "result", callId }, { kind: "result", callId });
          }
        }
        break;
      case "answerAtTheDeadline":
        this.#answerAtTheDeadline(step.afterMs);
        break;
      case "forge":
        this.#forge(step.at, step.flip, step.other);
        break;
      case "passTime":
        this.#passTime(step.passedMs, step.tick);
        break;
      case "bargeIn":
        this.#bargeIn();
        break;
      case "cancel":
        this.#cancel(step.at, step.by);
        break;
      case "finishOnServer":
        this.#finishOnServer();
        break;
      case "lose":
        this.#lose(step.keep);
        break;
      case "resume":
        this.#resume();
        break;
      case "beAway":
        this.#lose(step.keep);
        this.#passTime(step.passedMs, step.tick);
        this.#resume();
        break;
      default:
        throw new Error(`no such step: ${JSON.stringify(step satisfies never)}`);
    }
    this.#check();
  }

  /** With time, whatever happened, every call has ended once. */
  finish(): void {
    this.#note(this.#calls.tick(this.#nowMs + 3000));
    expect([...this.#ended.keys()].sort(), "lost").toEqual([...this.#made.keys()].sort());
    expect(this.#calls.nextDueMs).toBeUndefined();
  }

  #check(): void {
    expect(
      [...this.#started.values()].every((count) => count === 1),
      "ran twice",
    ).toBe(true);
    expect(
      this.#calls.openCalls.map((call) => call.callId),
      "lost",
    ).toEqual(this.#openIds());
    for (const callId of this.#openIds()) {
      expect(["requested", "accepted", "running"]).toContain(this.#calls.state(callId));
    }
  }

  /** Everything that the server's side is told passes here. */
  #note(effects: readonly Effect[]): void {
    for (const effect of effects) {
      const { callId } = effect;
      if (effect.effect === "terminal") {
        this.seen.add(`terminal ${effect.outcome}`);
        expect(this.#ended.has(callId), "ended twice").toBe(false);
        this.#ended.set(callId, effect);
        if (effect.withdraw) this.#down.push({ kind: "cancel", callId });
        if (effect.output !== undefined) {
          expect(effect.output, "forged accepted").toBe(this.#results.get(callId));
        }
        continue;
      }
      this.seen.add(effect.effect);
      if (effect.effect === "late") {
        expect(this.#hooked.has(callId), "two late results").toBe(false);
        expect(effect.result, "forged accepted").toEqual(this.#results.get(callId));
        this.#hooked.add(callId);
      }
    }
  }

  #request({ executor, policy, timeoutMs }: Step & { op: "request" }): void {
    const number = this.#made.size;
    const callId = `c${number}`;
    const full = this.#openIds().length >= MAX_OPEN;
    const token = new Uint8Array(16).fill(number & 0xff, 15);
    try {
      const call = this.#calls.request({
        callId,
        name: "tool",
        executor,
        arguments: "{}",
        nowMs: this.#nowMs,
        timeoutMs,
        policy,
        callToken: executor === "client" ? token : undefined,
      });
      this.#made.set(callId, call);
    } catch (error) {
      if (!(error instanceof ToolUseError)) throw error;
    }
    expect(this.#made.has(callId)).toBe(!full);
    if (full) return;
    this.#results.set(callId, RESULTS[number % RESULTS.length] ?? "");
    if (executor === "server") {
      this.#started.set(callId, 1);
    } else if (this.#attached) {
      this.#down.push({ kind: "request", callId });
      this.#acceptDueMs.set(callId, this.#nowMs + ACCEPT_WITHIN_MS);
    }
  }

  #toClient(at: number, repeat: boolean, drop: boolean): void {
    const message = take(this.#down, at, repeat);
    if (!message || drop) return;
    const { kind, callId } = message;
    if (kind === "cancel") {
      this.#runs.withdraw(callId);
      return;
    }
    const run = this.#runs.request(callId);
    if (run === "start") this.#started.set(callId, (this.#started.get(callId) ?? 0) + 1);
    if (run === "start" || run === "running") this.#up.push({ kind: "accept", callId });
    if (run === "finished") {
      expect(this.#runs.resultOf(callId)).toEqual(this.#resultOf(callId));
      this.#up.push({ kind: "result", callId });
    }
  }

  #toServer(at: number, repeat: boolean, drop: boolean): void {
    const message = take(this.#up, at, repeat);
    if (message && !drop) this.#arrive(message);
  }

  #arrive({ kind, callId }: Message): void {
    const inTime = !this.#ended.has(callId) && this.#nowMs < this.#dueMs(callId);
    if (inTime) this.#acceptDueMs.delete(callId);
    const said = { nowMs: this.#nowMs };
    if (kind !== "result") {
      const effects =
        kind === "accept" ? this.#calls.accept(callId, said) : this.#calls.progress(callId, said);
      this.#note(effects);
      if (inTime) expect(kinds(effects)).not.toEqual(expect.arrayContaining(["refused"]));
      if (inTime) expect(kinds(effects)).not.toEqual(expect.arrayContaining(["terminal"]));
      return;
    }
    const callToken = this.#made.get(callId)?.callToken ?? new Uint8Array();
    const effects = this.#calls.result(callId, this.#resultOf(callId), { ...said, callToken });
    if (inTime) {
      expect(kinds(effects), "lost").toEqual(["terminal"]);
    } else {
      const late = effects.filter((effect) => effect.effect === "terminal");
      expect(
        late.every((effect) => effect.withdraw),
        "late accepted",
      ).toBe(true);
      expect(kinds(effects)).not.toContain("moved");
    }
    this.#note(effects);
  }

  #work(at: number, finish: boolean): void {
    const running = this.#runs.running;
    const callId = running[at % running.length];
    if (callId === undefined) return;
    if (!finish) this.#up.push({ kind: "progress", callId });
    else if (this.#runs.finish(callId, this.#resultOf(callId))) {
      this.#up.push({ kind: "result", callId });
    }
  }

  #answerAtTheDeadline(afterMs: number): void {
    const [callId] = this.#runs.running;
    if (callId === undefined) return;
    this.#nowMs = Math.max(this.#nowMs, this.#dueMs(callId) + afterMs);
    this.#runs.finish(callId, this.#resultOf(callId));
    this.#arrive({ kind: "result", callId });
  }

  /** A result with a wrong token, for a call of the server, or of another session. */
  #forge(at: number, flip: number, other: number): void {
    if (this.#made.size === 0) return;
    const callId = `c${at % (this.#made.size + 1)}`;
    const token = Uint8Array.from(this.#made.get(callId)?.callToken ?? new Uint8Array(16));
    token[flip >> 3] = (token[flip >> 3] ?? 0) ^ (1 << (flip & 7));
    const before = this.#calls.state(callId);
    const said = { nowMs: this.#nowMs, callToken: token };
    const effects = this.#calls.result(callId, RESULTS[other] ?? "", said);
    const [due, ...more] = effects.slice(0, -1);
    expect(effects.at(-1)?.effect).toBe("refused");
    expect(more).toEqual([]);
    if (due) expect(due).toMatchObject({ effect: "terminal", output: undefined });
    else expect(this.#calls.state(callId)).toBe(before);
    this.#note(effects);
  }

  #passTime(passedMs: number, tick: boolean): void {
    this.#nowMs += passedMs;
    if (!tick) return;
    const due = new Map<string, string>();
    for (const callId of this.#openIds()) {
      if (this.#dueMs(callId) > this.#nowMs) continue;
      const deadline = this.#dueMs(callId) === this.#made.get(callId)?.deadlineMs;
      due.set(callId, deadline ? "timed_out" : "failed");
    }
    const waiting = this.#openIds().filter((callId) => !due.has(callId));
    const effects = this.#calls.tick(this.#nowMs);
    this.#note(effects);
    const ended = effects.filter((effect) => effect.effect === "terminal");
    expect(new Map(ended.map((effect) => [effect.callId, effect.outcome]))).toEqual(due);
    const nextMs = Math.min(...waiting.map((callId) => this.#dueMs(callId)));
    expect(this.#calls.nextDueMs).toBe(waiting.length > 0 ? nextMs : undefined);
  }

  #bargeIn(): void {
    const effects = this.#calls.interrupted(this.#nowMs);
    this.#note(effects);
    const left = this.#openIds().map((callId) => this.#made.get(callId)?.policy);
    expect(left).not.toContain("cancel");
    const asked = left.filter((policy) => policy === "ask").length;
    expect(kinds(effects).filter((kind) => kind === "ask_policy")).toHaveLength(asked);
  }

  #cancel(at: number, by: Executor): void {
    if (this.#made.size === 0) return;
    const callId = `c${at % this.#made.size}`;
    this.#note(this.#calls.cancel(callId, "", { nowMs: this.#nowMs, by }));
    const own = by === "server" || this.#made.get(callId)?.executor === by;
    expect(this.#ended.has(callId) || !own).toBe(true);
  }

  #finishOnServer(): void {
    const callId = this.#openIds().find((each) => this.#made.get(each)?.executor === "server");
    if (callId === undefined) return;
    const said = { nowMs: this.#nowMs, by: "server" } as const;
    this.#note(this.#calls.result(callId, this.#resultOf(callId), said));
    expect(this.#ended.has(callId)).toBe(true);
  }

  /** The line breaks; `keep`: what is under way arrives all the same, some time. */
  #lose(keep: boolean): void {
    this.#calls.onLost();
    this.#acceptDueMs.clear();
    this.#attached = false;
    if (!keep) {
      this.#down = [];
      this.#up = [];
    }
  }

  #resume(): void {
    this.#note(this.#calls.tick(this.#nowMs));
    const waiting = this.#calls.openCalls.filter(
      (call) => call.executor === "client" && this.#calls.state(call.callId) === "requested",
    );
    const again = this.#calls.redeliver(this.#nowMs);
    expect(again).toEqual(this.#attached ? [] : waiting);
    expect(again.every((call) => call === this.#made.get(call.callId))).toBe(true);
    expect(this.#calls.redeliver(this.#nowMs)).toEqual([]);
    this.#attached = true;
    for (const { callId } of again) {
      this.#down.push({ kind: "request", callId });
      this.#acceptDueMs.set(callId, this.#nowMs + ACCEPT_WITHIN_MS);
    }
  }

  #resultOf(callId: string): CallResult {
    return this.#results.get(callId) ?? "";
  }

  #dueMs(callId: string): number {
    const deadlineMs = this.#made.get(callId)?.deadlineMs ?? Number.NaN;
    return Math.min(deadlineMs, this.#acceptDueMs.get(callId) ?? deadlineMs);
  }

  #openIds(): string[] {
    return [...this.#made.keys()].filter((callId) => !this.#ended.has(callId));
  }
}

function kinds(effects: readonly Effect[]): string[] {
  return effects.map((effect) => effect.effect);
}

/** Takes a message from the line; `repeat`: it stays there and comes once more. */
function take(line: Message[], at: number, repeat: boolean): Message | undefined {
  const which = Math.min(at, line.length - 1);
  return repeat ? line[which] : line.splice(which, 1)[0];
}
