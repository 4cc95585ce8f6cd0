import type { AnyEvent, Client } from "@voxwire/client";
import { Store } from "./store.js";
import { type TurnWait, waitOf } from "./turn-stages.js";
import { WayUp } from "./way-up.js";

/** An event with the moment it was taken: milliseconds since the page was opened. */
export interface LogEntry {
  readonly number: number;
  readonly atMs: number;
  readonly type: AnyEvent["type"];
  readonly event: AnyEvent["event"];
}

/** What both sides sounded like at one moment. */
export interface Sample {
  readonly atMs: number;
  /** 0 … 1. */
  readonly microphone: number;
  readonly bot: number;
  /** Where the speaker was on the media clock. */
  readonly mediaMs: number;
}

/** Something that happened at one moment, on the timeline. */
export interface Mark {
  readonly atMs: number;
  readonly kind: "flush" | "interruption" | "transcript" | "tool" | "loss";
  readonly text: string;
}

const MAX_ENTRIES = 500;
/** Entries that go at once, so that the list does not move with every new one. */
const OLD_ENTRIES = 150;
const MAX_TURNS = 20;
const SAMPLE_MS = 50;
const MAX_SAMPLES = 30_000 / SAMPLE_MS;
const MAX_MARKS = 60;
const MAX_ORDERS = 200;

/** Keeps what a client tells, for the panels. One for each client; `start` returns its end. */
export class Recorder {
  readonly entries = new Store<readonly LogEntry[]>([]);
  readonly waits = new Store<readonly TurnWait[]>([]);
  readonly examples = new Store<readonly string[]>([]);
  /** Number of utterances that stood in its turn when a tool call began: where its card goes. */
  readonly order = new Map<string, number>();
  samples: Sample[] = [];
  marks: Mark[] = [];
  readonly #client: Client;
  readonly #wayUp: WayUp;
  readonly #texts = new Map<string, string>();
  #number = 0;

  constructor(client: Client) {
    this.#client = client;
    this.#wayUp = new WayUp(client);
  }

  start(): () => void {
    const end = new AbortController();
    const timer = setInterval(() => this.#sample(), SAMPLE_MS);
    const endWayUp = this.#wayUp.start();
    void this.#follow(end.signal);
    return () => {
      clearInterval(timer);
      endWayUp();
      end.abort();
    };
  }

  clear(): void {
    this.entries.set([]);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    for await (const item of this.#client.events({ signal })) this.#take(item);
  }

  #take(item: AnyEvent): void {
    const { type, event } = item;
    const atMs = performance.now();
    const entry: LogEntry = { number: this.#number++, atMs, type, event };
    const before = this.entries.get();
    const kept = before.length < MAX_ENTRIES ? before : before.slice(OLD_ENTRIES);
    this.entries.set([...kept, entry]);
    this.#note(item, atMs);
  }

  #note(item: AnyEvent, atMs: number): void {
    switch (item.type) {
      case "sessionStarted":
        this.examples.set(item.event.examples);
        if (!item.event.resumed) this.#forget();
        break;
      case "userTranscript":
        this.#texts.set(item.event.turnId, item.event.text);
        if (item.event.final) this.#mark(atMs, "transcript", item.event.text);
        break;
      case "turnMetrics": {
        const text = this.#texts.get(item.event.turnId) ?? "";
        const wait = waitOf(item.event, text, this.#wayUp.msOf(item.event));
        this.waits.set([...this.waits.get().slice(1 - MAX_TURNS), wait]);
        break;
      }
      case "toolCallStarted":
        this.#mark(atMs, "tool", item.event.name);
        this.#keepOrder(item.event.callId);
        break;
      case "flushed":
        this.#mark(atMs, "flush", "flush");
        break;
      case "interrupted":
        this.#mark(atMs, "interruption", "interrupted");
        break;
      case "connectionChanged":
        if (item.event.state === "reconnecting" && item.event.attempt === 1)
          this.#mark(atMs, "loss", "connection lost");
        break;
      default:
    }
  }

  #forget(): void {
    this.waits.set([]);
    this.#texts.clear();
    this.order.clear();
    this.marks = [];
    this.samples = [];
  }

  #keepOrder(callId: string): void {
    const turn = this.#client.conversation.get().turns.at(-1);
    if (this.order.size >= MAX_ORDERS) this.order.clear();
    this.order.set(callId, turn?.role === "bot" ? turn.utterances.length : 0);
  }

  #mark(atMs: number, kind: Mark["kind"], text: string): void {
    this.marks = [...this.marks.slice(1 - MAX_MARKS), { atMs, kind, text }];
  }

  #sample(): void {
    this.#wayUp.look();
    const { status } = this.#client.status.get();
    if (status !== "ready" && status !== "reconnecting") return;
    const { microphone, bot } = this.#client.levels();
    const sample = { atMs: performance.now(), microphone, bot, mediaMs: this.#client.positionMs };
    this.samples.push(sample);
    if (this.samples.length > MAX_SAMPLES) this.samples.shift();
  }
}
