import type { LoggedToolCall, LoggedTurn, LoggedUtterance, LoggedWord } from "@voxwire/client";
import type { JsonValue, TurnMetrics } from "@voxwire/protocol";
import { FakeClient } from "@voxwire/react/testing";
import { play } from "./script.js";
import { spread } from "./words.js";

type BotTurn = LoggedTurn & { role: "bot" };
type StageMs = Pick<TurnMetrics, "vadMs" | "sttMs" | "turnMs" | "llmMs" | "toolMs" | "ttsMs">;

const EXAMPLES = [
  "what is the weather in Paris",
  "find a Japanese restaurant in London",
  "tell me a long story",
];

/** A client that plays both sides of a conversation by itself, in real time. */
export class DemoClient extends FakeClient {
  #startedMs = 0;
  #number = 0;
  #turnId = "";
  #loud = { microphone: 0, bot: 0 };
  #turns: LoggedTurn[] = [];
  #ended = new AbortController();
  readonly #hold = new URLSearchParams(location.search).get("hold");

  override async connect(): Promise<void> {
    this.#ended = new AbortController();
    this.#turns = [];
    this.conversation.set({ turns: [], skipped: 0 });
    this.setStatus({ status: "connecting", stage: "dialling" });
    await this.wait(350);
    this.#startedMs = performance.now();
    this.setStatus({ status: "ready", sessionId: "demo.session", bot: "concierge" });
    this.emit("sessionStarted", {
      sessionId: "demo.session",
      bot: "concierge",
      server: "demo",
      resumed: false,
      examples: EXAMPLES,
    });
    this.#devices();
    void this.#measure();
    play(this).catch(() => undefined);
  }

  override async disconnect(): Promise<void> {
    this.#ended.abort();
    this.#loud = { microphone: 0, bot: 0 };
    this.activity.set({ bot: "idle", userSpeaking: false });
    await super.disconnect();
  }

  override levels() {
    const { microphone, bot } = this.#loud;
    return { microphone: microphone * voice(1), bot: bot * voice(2) };
  }

  /** Milliseconds, unless the session ends first; then it rejects. */
  wait(ms: number): Promise<void> {
    const { signal } = this.#ended;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, ms);
      signal.addEventListener("abort", () => {
        clearTimeout(timer);
        reject(signal.reason);
      });
    });
  }

  /** The user says something. */
  async hear(text: string, scene?: string): Promise<void> {
    const id = this.#id("user");
    this.#turnId = id;
    this.#state("listening", true);
    this.#loud.microphone = 0.24;
    const words = text.split(" ");
    for (let at = 1; at <= words.length; at++) {
      await this.wait(230);
      this.#heard(id, words.slice(0, at).join(" "), at === words.length);
      if (at === words.length - 1) await this.#scene(scene);
    }
    this.#loud.microphone = 0;
    this.#state("listening", false);
    await this.wait(200);
  }

  async think(ms: number): Promise<void> {
    this.#state("thinking", false);
    await this.wait(ms);
  }

  /** The bot uses a tool. */
  async use(name: string, args: JsonValue, result: JsonValue): Promise<void> {
    const call: LoggedToolCall = {
      id: this.#id("call"),
      name,
      args,
      status: "running",
      own: false,
    };
    const turn: BotTurn = {
      id: this.#id("bot"),
      role: "bot",
      utterances: [],
      toolCalls: [call],
      interrupted: false,
    };
    this.#put(turn);
    this.emit("toolCallStarted", { callId: call.id, name, arguments: args, responseId: "r" });
    await this.wait(405);
    this.#put({ ...turn, toolCalls: [{ ...call, status: "done", result, durationMs: 405 }] });
    this.emit("toolCallEnded", { callId: call.id, name, outcome: "done", result, durationMs: 405 });
    await this.#scene("tool");
  }

  metrics(stages: StageMs): void {
    const known = Object.values(stages).reduce<number>((sum, ms) => sum + (ms ?? 0), 0);
    this.emit("turnMetrics", {
      ...stages,
      turnId: this.#turnId,
      outputMs: 6,
      playoutDelayMs: 74,
      leadSilenceMs: 18,
      totalMs: known + 98,
      responseMs: known,
      typed: false,
      heardSource: "client_report",
      firstAudioMediaMs: this.positionMs,
      userStoppedCaptureMs: undefined,
      userStoppedServerUs: undefined,
    });
  }

  /** The bot says something to its end. */
  async say(text: string, scene?: string): Promise<void> {
    const utterance = this.#announce(text);
    const middle = Math.floor(utterance.words.length * 0.6);
    await this.#speak(utterance, utterance.words.length, async (at) => {
      if (at === middle) await this.#scene(scene);
    });
    this.#show({ ...utterance, end: "completed", words: all(utterance, "heard") });
    this.#loud.bot = 0;
    this.#state("idle", false);
  }

  /** The bot says something until the user speaks after so many words. */
  async sayUntilCut(text: string, heard: number): Promise<void> {
    const utterance = this.#announce(text);
    await this.#speak(utterance, heard);
    this.#loud.bot = 0;
    const words = utterance.words.map(
      (word, at): LoggedWord => ({ ...word, state: at < heard ? "heard" : "cut" }),
    );
    this.#show({ ...utterance, end: "interrupted", words }, true);
    const mediaMs = this.positionMs;
    this.emit("flushed", { mediaMs, flushId: 1, untilMediaMs: mediaMs + 4000 });
    this.emit("interrupted", { source: "user", utteranceId: utterance.id });
  }

  /** The connection goes and comes back. */
  async lose(scene: string): Promise<void> {
    const cause = Object.assign(new Error("connection_lost: the network went away"), {
      code: "connection_lost",
      reason: "the network went away",
    }) as never;
    this.setStatus({ status: "reconnecting", attempt: 2, cause });
    this.emit("connectionChanged", { state: "reconnecting", attempt: 1, epoch: 1, afterMs: 0 });
    await this.wait(800);
    await this.#scene(scene);
    await this.wait(2200);
    this.setStatus({ status: "ready", sessionId: "demo.session", bot: "concierge" });
    this.emit("connectionChanged", { state: "connected", attempt: 2, epoch: 2, afterMs: 3000 });
  }

  async #speak(utterance: LoggedUtterance, count: number, at?: (n: number) => Promise<void>) {
    const first = utterance.words[0]?.startMs ?? 0;
    await this.wait(Math.max(0, first - this.positionMs));
    this.#state("speaking", false);
    this.#loud.bot = 0.28;
    for (const [index, word] of utterance.words.slice(0, count).entries()) {
      await this.wait(Math.max(0, word.startMs - this.#nowMs()));
      const words = utterance.words.map(
        (one): LoggedWord => ({
          ...one,
          state: one.index <= index ? "heard" : "unheard",
        }),
      );
      this.#show({ ...utterance, words });
      const { text, startMs, endMs } = word;
      const place = { charStart: 0, charEnd: 0, source: "provider_word" } as const;
      this.emit("botWord", { utteranceId: utterance.id, index, text, startMs, endMs, ...place });
      await at?.(index);
    }
    if (count === utterance.words.length) await this.wait(350);
  }

  #announce(text: string): LoggedUtterance {
    const id = this.#id("utterance");
    const words = spread(text, this.#nowMs() + 260);
    const utterance: LoggedUtterance = { id, text, words, end: "speaking" };
    const mediaMs = words[0]?.startMs ?? 0;
    const source = "provider_word" as const;
    this.emit("utteranceStarted", {
      utteranceId: id,
      turnId: "t",
      responseId: "r",
      mediaMs,
      source,
      language: "en",
    });
    this.#show(utterance);
    return utterance;
  }

  #show(utterance: LoggedUtterance, interrupted = false): void {
    const last = this.#turns.at(-1);
    const empty = { id: this.#id("bot"), role: "bot", toolCalls: [] } as const;
    const turn: BotTurn =
      last?.role === "bot" ? last : { ...empty, utterances: [], interrupted: false };
    const kept = turn.utterances.filter(({ id }) => id !== utterance.id);
    this.#put({ ...turn, utterances: [...kept, utterance], interrupted });
  }

  #put(turn: LoggedTurn): void {
    const kept = this.#turns.filter(({ id }) => id !== turn.id);
    this.#turns = [...kept, turn];
    this.conversation.set({ turns: this.#turns, skipped: 0 });
  }

  #heard(id: string, text: string, final: boolean): void {
    this.#put({ id, role: "user", text, final, typed: false });
    const event = {
      text,
      final,
      transcriptId: id,
      turnId: this.#turnId,
      language: "en",
      typed: false,
    };
    this.emit("userTranscript", event);
  }

  #state(bot: "idle" | "listening" | "thinking" | "speaking", userSpeaking: boolean): void {
    this.activity.set({ bot, userSpeaking });
    const user = userSpeaking ? "speaking" : "silent";
    this.emit("stateChanged", { bot, user, mediaMs: Math.round(this.#nowMs()) });
  }

  async #scene(name: string | undefined): Promise<void> {
    if (name === undefined || name !== this.#hold) return;
    await this.wait(3_600_000);
  }

  async #measure(): Promise<void> {
    for (;;) {
      this.positionMs = this.#nowMs();
      this.quality.set({
        transport: "webrtc",
        grade: "excellent",
        rttMs: 11 + 4 * Math.random(),
        jitterMs: 2,
        loss: 0,
        bufferedMs: 58 + 8 * Math.random(),
        concealedMs: 0,
      });
      for (let tick = 0; tick < 50; tick++) {
        await this.wait(20);
        this.positionMs = this.#nowMs();
      }
    }
  }

  #devices(): void {
    const microphones = [
      { id: "a", label: "Built-in microphone" },
      { id: "b", label: "Headset" },
    ];
    const granted = { state: "granted", enabled: true } as const;
    this.setDevice("microphone", { ...granted, available: microphones });
    this.setDevice("speaker", { ...granted, available: [{ id: "s", label: "Built-in speakers" }] });
  }

  #nowMs(): number {
    return performance.now() - this.#startedMs;
  }

  #id(kind: string): string {
    this.#number += 1;
    return `${kind}-${this.#number}`;
  }
}

/** Something like the loudness of speech, 0 … 1. */
function voice(seed: number): number {
  const seconds = performance.now() / 1000;
  const syllables =
    Math.abs(Math.sin(seconds * 9 + seed)) * Math.abs(Math.sin(seconds * 2.3 * seed));
  return Math.min(1, 0.15 + syllables * 0.8);
}

const all = (utterance: LoggedUtterance, state: LoggedWord["state"]): LoggedWord[] =>
  utterance.words.map((word) => ({ ...word, state }));
