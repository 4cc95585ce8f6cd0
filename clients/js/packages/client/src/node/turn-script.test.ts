/** Whose turn it is: the user's behind the bot's answer, whatever the bot was cut short in. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { TurnScript } from "./turn-script.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** A script of one clip of a second, said `afterMs` into the greeting or behind it. */
function script(afterMs?: number) {
  const log: string[] = [];
  const play = async () => {
    log.push("said");
    await new Promise((resolve) => setTimeout(resolve, 1000));
    log.push("silent");
  };
  const turns = new TurnScript([{ play, afterMs }]);
  turns.begin();
  void turns.done.then(() => log.push("done"));
  return { log, turns };
}

it("is not over with the words of a greeting that the user cuts, however late the answer", async () => {
  const { log, turns } = script(300);
  turns.state("speaking", "idle");
  turns.word("u1");
  await vi.advanceTimersByTimeAsync(400);
  expect(log).toEqual(["said"]);
  turns.word("u1"); // the user is heard a moment later
  turns.word("u2"); // and there is more of the greeting
  turns.state("idle", "speaking");
  turns.cut();
  await vi.advanceTimersByTimeAsync(1000);
  turns.state("idle", "idle"); // nobody has begun to think yet
  await vi.advanceTimersByTimeAsync(3000);
  expect(log).toEqual(["said", "silent"]);
  turns.state("speaking", "idle");
  turns.word("u3");
  turns.state("idle", "idle");
  await vi.advanceTimersByTimeAsync(500);
  expect(log).toEqual(["said", "silent", "done"]);
});

it("is not over with what is left of a greeting that cannot be cut", async () => {
  const { log, turns } = script(300);
  turns.state("speaking", "idle");
  turns.word("u1");
  await vi.advanceTimersByTimeAsync(400);
  turns.word("u1");
  turns.state("idle", "idle");
  await vi.advanceTimersByTimeAsync(5000);
  expect(log).toEqual(["said", "silent"]);
  turns.word("u2");
  await vi.advanceTimersByTimeAsync(500);
  expect(log).toEqual(["said", "silent", "done"]);
});

it("is not over while the user still speaks, nor for a stall of the program", async () => {
  const { log, turns } = script();
  await vi.advanceTimersByTimeAsync(4500); // no greeting
  expect(log).toEqual(["said"]);
  turns.word("u1"); // a filler
  turns.state("idle", "speaking");
  await vi.advanceTimersByTimeAsync(5000);
  expect(log).toEqual(["said", "silent"]);
  turns.state("idle", "idle");
  const now = performance.now.bind(performance);
  vi.spyOn(performance, "now").mockImplementation(() => now() + 2000); // it stood still
  await vi.advanceTimersByTimeAsync(300);
  expect(log).toEqual(["said", "silent"]);
  await vi.advanceTimersByTimeAsync(200);
  expect(log).toEqual(["said", "silent", "done"]);
});

it("goes on without a bot that never answers", async () => {
  const { log } = script();
  await vi.advanceTimersByTimeAsync(4500 + 1000 + 9000);
  expect(log).toEqual(["said", "silent"]);
  await vi.advanceTimersByTimeAsync(2000);
  expect(log).toEqual(["said", "silent", "done"]);
});
