import type { LoggedTurn, LoggedUtterance } from "@voxwire/client";
import { expect, test } from "vitest";
import { captionLine } from "./hooks/use-captions.js";

const utterance = (id: string, text: string, pieces: readonly string[]): LoggedUtterance => ({
  ...{ id, text, end: "completed" },
  words: pieces.map((piece, index) => ({
    ...{ index, text: piece, startMs: 100 * index, endMs: 100 * index + 90, state: "heard" },
  })),
});

const bot = (more: Partial<LoggedTurn & { role: "bot" }>): LoggedTurn => ({
  ...{ id: "t1:bot", role: "bot", utterances: [], toolCalls: [], interrupted: false },
  ...more,
});

test.each([
  ["您好，感谢您致电。", [..."您好，感谢您致电。"], "您好，感谢您致电。您好，感谢您致电。"],
  ["こんにちは。", [..."こんにちは。"], "こんにちは。こんにちは。"],
  ["我用 iPhone。", ["我", "用", "iPhone", "。"], "我用 iPhone。我用 iPhone。"],
  ["안녕하세요. 네", ["안녕하세요.", "네"], "안녕하세요. 네 안녕하세요. 네"],
  ["Hello there.", ["Hel", "lo", "there."], "Hello there. Hello there."],
])("a line has the spaces of its script: %s", (text, pieces, line) => {
  const utterances = [utterance("u1", text, pieces), utterance("u2", text, pieces)];
  expect(captionLine(bot({ utterances })).text).toBe(line);
});

test("what was said before a loss joins what is said now as its script wants it", () => {
  const utterances = [utterance("u1", "再见。", [..."再见。"])];
  const turn = bot({ heardText: "您好。", unheardText: "请稍等。", utterances });
  expect(captionLine(turn).text).toBe("您好。请稍等。再见。");
});
