import type { TurnMetrics } from "@voxwire/protocol";

/** The stages of a turn in order of time, with what people call them. */
export const STAGES = [
  { key: "up", name: "Way up", hint: "until your last word was at the server" },
  { key: "vad", name: "Voice activity", hint: "until the silence after your words was noticed" },
  { key: "stt", name: "Speech to text", hint: "until the final transcript" },
  { key: "turn", name: "Turn", hint: "until your turn was taken as over" },
  { key: "llm", name: "Language model", hint: "until the first sentence" },
  { key: "tool", name: "Tools", hint: "within the language model's time" },
  { key: "tts", name: "Text to speech", hint: "until its first audio" },
  { key: "output", name: "Output", hint: "until it was handed to the path" },
  { key: "playout", name: "Network, playout", hint: "until your speaker played it" },
  { key: "silence", name: "Lead silence", hint: "until it was audible" },
] as const;

export type StageKey = (typeof STAGES)[number]["key"];

/** Shown even when they took no time: that they did not is worth knowing. */
const ALWAYS: ReadonlySet<StageKey> = new Set(["up", "stt"]);

/** A stage of a turn: when it began after the user stopped, and how long it took. */
export interface Stage {
  readonly key: StageKey;
  readonly startMs: number;
  readonly durationMs: number;
}

/** A turn's wait, from the end of the user's words at their microphone to the first audible sample
 * at their speaker. */
export interface TurnWait {
  readonly turnId: string;
  /** What the user said; empty when it is not known. */
  readonly text: string;
  readonly totalMs: number;
  readonly typed: boolean;
  readonly stages: readonly Stage[];
}

type Known = { readonly [K in StageKey]: number | undefined };

/** The stages that happened, one after the other; the tools' time is the end of the model's. */
export function stagesOf(metrics: TurnMetrics, wayUpMs?: number): Stage[] {
  const known = durations(metrics, wayUpMs);
  const stages: Stage[] = [];
  let at = 0;
  for (const { key } of STAGES) {
    const durationMs = known[key];
    if (durationMs === undefined || (durationMs === 0 && !ALWAYS.has(key))) continue;
    stages.push({ key, startMs: at, durationMs });
    at += durationMs;
  }
  return stages;
}

/** What the waterfall shows of a turn; the way up is no part of the server's figures. */
export function waitOf(metrics: TurnMetrics, text: string, wayUpMs?: number): TurnWait {
  const stages = stagesOf(metrics, wayUpMs);
  const sum = stages.reduce((total, stage) => total + stage.durationMs, 0);
  const totalMs = metrics.totalMs === undefined ? sum : metrics.totalMs + (wayUpMs ?? 0);
  return { turnId: metrics.turnId, text, totalMs, typed: metrics.typed === true, stages };
}

/** An older server tells the response time alone: then it stands as the model's. */
function durations(metrics: TurnMetrics, wayUpMs: number | undefined): Known {
  const older = metrics.totalMs === undefined;
  return {
    up: wayUpMs,
    vad: metrics.vadMs,
    stt: metrics.sttMs,
    turn: metrics.turnMs,
    llm: older ? metrics.responseMs : metrics.llmMs,
    tool: metrics.toolMs,
    tts: metrics.ttsMs,
    output: metrics.outputMs,
    playout: metrics.playoutDelayMs,
    silence: metrics.leadSilenceMs,
  };
}
