import type { LoggedTurn, LoggedUtterance } from "@voxwire/client";
import { expect, test } from "vitest";
import { asSavedJson, asText, fileName } from "./formats.js";
import { wavHeader } from "./wav.js";

const FACTS = { sessionId: "s.1", bot: "offline", startedAt: new Date("2026-11-29T10:20:30Z") };

function utterance(text: string, heard: number): LoggedUtterance {
  const words = text.split(" ").map((word, index) => ({
    index,
    text: word,
    startMs: index * 100,
    endMs: index * 100 + 90,
    state: index < heard ? ("heard" as const) : ("cut" as const),
  }));
  return { id: text, words, text, end: heard < words.length ? "interrupted" : "completed" };
}

const TURNS: readonly LoggedTurn[] = [
  { id: "1:user", role: "user", text: "tell me a story", final: true, typed: true },
  {
    id: "1",
    role: "bot",
    utterances: [utterance("One moment.", 2), utterance("Once upon a time.", 2)],
    toolCalls: [{ id: "c", name: "find", args: { n: 1 }, result: "x", status: "done", own: false }],
    interrupted: true,
  },
];

test("as text: a line a turn, tools in brackets, what was never heard as such", () => {
  expect(asText(TURNS, FACTS)).toBe(
    [
      "Bot: offline, 2026-11-29T10:20:30.000Z, s.1",
      "",
      "You: tell me a story",
      '     (find {"n":1}: done "x")',
      "Bot: One moment. Once upon [not heard: a time.]",
      "",
    ].join("\n"),
  );
});

test("as JSON: the log with its times, and what was heard of each turn", () => {
  const saved = JSON.parse(asSavedJson(TURNS, FACTS));
  expect(saved).toMatchObject({ bot: "offline", sessionId: "s.1", turns: TURNS });
  expect(saved.turns[1]).toMatchObject({
    heardText: "One moment. Once upon",
    unheardText: "a time.",
  });
});

test("a file's name has no sign that a file system refuses", () => {
  expect(fileName(FACTS, "txt")).toBe("voxwire-offline-2026-11-29-10-20-30.txt");
  expect(fileName({ ...FACTS, bot: "../a b/ü" }, "wav")).toBe(
    "voxwire-a-b-ü-2026-11-29-10-20-30.wav",
  );
  expect(fileName({ ...FACTS, bot: "" }, "json")).toMatch(/^voxwire-bot-/);
});

test("a WAV file's header says its rate, channels and length", () => {
  const view = new DataView(wavHeader(9600, { rate: 24_000, channels: 2 }));
  const letters = (at: number) => String.fromCharCode(...new Uint8Array(view.buffer, at, 4));
  expect([0, 8, 12, 36].map(letters)).toEqual(["RIFF", "WAVE", "fmt ", "data"]);
  const [size, rate, bytes, data] = [4, 24, 28, 40].map((at) => view.getUint32(at, true));
  expect([size, rate, bytes, data]).toEqual([9636, 24_000, 96_000, 9600]);
  expect([20, 22, 32, 34].map((at) => view.getUint16(at, true))).toEqual([1, 2, 4, 16]);
});
