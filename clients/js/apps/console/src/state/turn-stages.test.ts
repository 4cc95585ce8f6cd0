import type { TurnMetrics } from "@voxwire/protocol";
import { expect, test } from "vitest";
import { stagesOf, waitOf } from "./turn-stages.js";

const METRICS: TurnMetrics = {
  turnId: "t1",
  responseMs: 700,
  playoutDelayMs: 80,
  vadMs: 200,
  sttMs: 0,
  turnMs: 30,
  llmMs: 120,
  toolMs: 300,
  ttsMs: 90,
  outputMs: 2,
  leadSilenceMs: 18,
  totalMs: 840,
  typed: false,
  heardSource: "client_report",
  firstAudioMediaMs: undefined,
  userStoppedCaptureMs: undefined,
  userStoppedServerUs: undefined,
};

test("stages stand one behind the other and fill the whole wait", () => {
  const stages = stagesOf(METRICS);
  let at = 0;
  for (const stage of stages) {
    expect(stage.startMs).toBe(at);
    at += stage.durationMs;
  }
  expect(at).toBe(METRICS.totalMs);
  expect(stages.map(({ key }) => key)).toEqual([
    "vad",
    "stt",
    "turn",
    "llm",
    "tool",
    "tts",
    "output",
    "playout",
    "silence",
  ]);
});

test("a stage that did not happen has no row", () => {
  const keys = stagesOf({ ...METRICS, toolMs: undefined, leadSilenceMs: 0 }).map(({ key }) => key);
  expect(keys).not.toContain("tool");
  expect(keys).not.toContain("silence");
});

test("an older server's response time stands as the model's", () => {
  const old = { ...METRICS, totalMs: undefined, vadMs: undefined, sttMs: undefined };
  const older = { ...old, turnMs: undefined, llmMs: undefined, toolMs: undefined };
  const wait = waitOf(
    { ...older, ttsMs: undefined, outputMs: undefined, leadSilenceMs: undefined },
    "hello",
  );
  expect(wait).toMatchObject({ totalMs: 780, text: "hello" });
  expect(wait.stages.map(({ key, durationMs }) => [key, durationMs])).toEqual([
    ["llm", 700],
    ["playout", 80],
  ]);
});

test("the way to the server comes first, and belongs to the whole", () => {
  const wait = waitOf({ ...METRICS, userStoppedServerUs: 5_000_000 }, "hello", 31);
  expect(wait.totalMs).toBe(871);
  expect(wait.stages.slice(0, 2)).toEqual([
    { key: "up", startMs: 0, durationMs: 31 },
    { key: "vad", startMs: 31, durationMs: 200 },
  ]);
  expect(wait.stages.reduce((sum, { durationMs }) => sum + durationMs, 0)).toBe(wait.totalMs);
});
