import type { AnyEvent, Client } from "@voxwire/client";
import type { SessionStarted } from "@voxwire/protocol";
import type { SessionFacts } from "../save/formats.js";
import { rememberExamples, remembered } from "../settings.js";
import { repeats } from "./describe-event.js";
import type { LogEntry } from "./log-entry.js";
import { notUnderstood } from "./not-understood.js";
import { Outage } from "./outage.js";
import { SAMPLE_MS, SampleTrail } from "./sample-trail.js";
import { Store } from "./store.js";
import { type TurnWait, waitOf } from "./turn-stages.js";
import { VoiceRecording } from "./voice-recording.js";
import { WayUp } from "./way-up.js";

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
const MAX_MARKS = 120;
const MAX_ORDERS = 200;
/** What is quieter is nobody's voice. */
const QUIET = 0.005;

/** Keeps what a client tells, for the panels. One for each client; `start` returns its end. */
export class Recorder {
  readonly entries = new Store<readonly LogEntry[]>([]);
  readonly waits = new Store<readonly TurnWait[]>([]);
  /** Phrases to try: this session's, or before one the last visit's. */
  readonly examples = new Store<readonly string[]>(remembered());
  /** The session that is on, or was the last. */
  readonly session = new Store<SessionFacts | undefined>(undefined);
  readonly voices = new VoiceRecording();
  readonly outage: Outage;
  /** Number of utterances that stood in its turn when a tool call began: where its card goes. */
  readonly order = new Map<string, number>();
  readonly trail = new SampleTrail();
  marks: Mark[] = [];
  readonly #client: Client;
  readonly #wayUp: WayUp;
  readonly #texts = new Map<string, string>();
  #number = 0;
  #first = "";

  constructor(client: Client) {
    this.#client = client;
    this.#wayUp = new WayUp(client);
    this.outage = new Outage(client);
  }

  start(): () => void {
    const end = new AbortController();
    const timer = setInterval(() => this.#sample(), SAMPLE_MS);
    const ends = [this.#wayUp.start(), this.outage.start(), this.#endVoices()];
    void this.#follow(end.signal);
    return () => {
      clearInterval(timer);
      for (const stop of ends) stop();
      end.abort();
    };
  }

  /** Has a phrase sent as soon as a session is up; "" = none. */
  sendFirst(text: string): void {
    this.#first = text;
  }

  /** The recording ends before the sound that it taps is taken apart. */
  #endVoices(): () => void {
    return this.#client.status.subscribe(() => {
      if (/^clos/.test(this.#client.status.get().status)) this.voices.end();
    });
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
    this.#note(item, atMs);
    const before = this.entries.get();
    if (repeats(entry, before)) return;
    const kept = before.length < MAX_ENTRIES ? before : before.slice(OLD_ENTRIES);
    this.entries.set([...kept, entry]);
  }

  #note(item: AnyEvent, atMs: number): void {
    switch (item.type) {
      case "sessionStarted":
        this.#begin(item.event);
        break;
      case "status":
        if (item.event.status === "closed") this.#first = "";
        break;
      case "userTranscript":
        this.#texts.set(item.event.turnId, item.event.text);
        if (item.event.final) this.#mark(atMs, "transcript", briefly(item.event.text));
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

  #begin({ examples, bot, sessionId, resumed }: SessionStarted): void {
    this.examples.set(examples);
    rememberExamples(examples);
    if (resumed) return;
    this.#forget();
    this.session.set({ sessionId, bot, startedAt: new Date() });
    if (this.#first !== "")
      void this.#client.sendText(this.#first, { interrupt: true }).catch(() => undefined);
    this.#first = "";
  }

  #forget(): void {
    this.waits.set([]);
    this.#texts.clear();
    this.order.clear();
    this.marks = [];
    this.trail.clear();
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
    this.voices.look(this.#client);
    const { microphone, bot } = this.#client.levels();
    const activity = this.#client.activity.get();
    const quiet = !activity.userSpeaking && activity.bot !== "speaking" && bot < QUIET;
    const mediaMs = this.#client.positionMs;
    this.trail.push({ atMs: performance.now(), microphone, bot, mediaMs, quiet });
  }
}

/** What a recogniser writes in place of words is told in full where the turn is. */
const briefly = (text: string) => (notUnderstood(text) ? "(not understood)" : text);
