import { expect, test } from "vitest";
import { VirtualTime } from "../testing/index.js";
import { backoffMs } from "./attach.js";
import { realEnvironment } from "./environment.js";
import { Gate } from "./gate.js";
import { Scope } from "./scope.js";
import { Store } from "./store.js";
import { controlUrl, isLoopback } from "./url.js";

test("a URL is what a person means by it", () => {
  const page = "https://app.test/room/7?x=1";
  const table: [string, string | undefined, string][] = [
    ["/", page, "wss://app.test/v1/session"],
    ["/voice", page, "wss://app.test/voice/v1/session"],
    ["/voice/v1/session/", page, "wss://app.test/voice/v1/session"],
    [".", page, "wss://app.test/room/v1/session"],
    ["ws://127.0.0.2:7860/a", undefined, "ws://127.0.0.2:7860/a/v1/session"],
    ["ws://127.0.0.1:7860", undefined, "ws://127.0.0.1:7860/v1/session"],
    ["https://host/", page, "wss://host/v1/session"],
    ["http://host:81/a/?b=1", undefined, "ws://host:81/a/v1/session?b=1"],
  ];
  for (const [url, base, wanted] of table) expect(controlUrl(url, base)).toBe(wanted);
  for (const bad of ["/", "host:99999", "ftp://h", "wss://u:p@h", "", "ws://"]) {
    expect(() => controlUrl(bad, undefined)).toThrow(/invalid_argument/);
  }
  for (const bare of ["localhost:7860", "127.0.0.1:7860", "bot.example", "bot.example/v1", ""]) {
    expect(() => controlUrl(bare, page)).toThrow(/invalid_argument: .*give ws:\/\/localhost:7860/);
  }
  const local = ["ws://localhost/", "ws://[::1]:1/", "ws://127.0.0.2/"];
  expect(local.filter(isLoopback)).toEqual(local);
  expect(["ws://h/", "ws://127.0.0.1.h/", "ws://10.0.0.1/"].filter(isLoopback)).toEqual([]);
});

test("retries come at once, then 0.1 to 1 s apart, each up to 20 % off", () => {
  expect([1, 2, 3, 4, 5, 9].map((attempt) => backoffMs(attempt, 0.5))).toEqual([
    ...[0, 100, 200, 500, 1000, 1000],
  ]);
  expect([backoffMs(5, 0), backoffMs(5, 1)].map(Math.round)).toEqual([800, 1200]);
});

test("a gate holds messages in order while it is frozen, and is late while it is slow", async () => {
  const clock = new VirtualTime();
  const gate = new Gate({ ...realEnvironment(), now: clock.now, after: clock.after });
  const passed: number[] = [];
  const pass = (number: number) => gate.out.let(() => passed.push(number));
  pass(1);
  const thaw = gate.freeze();
  const again = gate.freeze();
  pass(2);
  thaw();
  thaw();
  expect(passed).toEqual([1]);
  gate.delayMs = 100;
  pass(3);
  again();
  expect(passed).toEqual([1, 2]);
  await clock.advance(99);
  expect(passed).toEqual([1, 2]);
  await clock.advance(1);
  expect(passed).toEqual([1, 2, 3]);
  gate.delayMs = 0;
  pass(4);
  expect(passed).toEqual([1, 2, 3, 4]);
  expect(clock.pending).toBe(0);
});

test("the end of a scope ends its children, timers and waits, once, in reverse order", async () => {
  const clock = new VirtualTime();
  const env = { ...realEnvironment(), now: clock.now, after: clock.after };
  const scope = new Scope(env);
  const child = new Scope(env, scope);
  const undone: number[] = [];
  for (const number of [1, 2, 3]) scope.defer(() => undone.push(number));
  const forget = child.defer(() => undone.push(9));
  forget();
  const waits = [
    scope.sleep(100),
    child.race(new Promise(() => {})),
    child.race(Promise.reject(new Error("first"))),
    scope.race(new Promise(() => {}), 50, () => new Error("late")),
  ].map((wait) => wait.then(String, (error: Error) => error.message));
  await clock.advance(60);
  scope.close(new Error("over"));
  scope.close(new Error("again"));
  expect(await Promise.all(waits)).toEqual(["over", "over", "first", "late"]);
  expect([undone, child.closed, clock.pending]).toEqual([[3, 2, 1], true, 0]);
  await expect(new Scope(env, scope).sleep(1)).rejects.toThrow("over");
  await expect(scope.race(Promise.reject(new Error("nobody hears it")))).rejects.toThrow("over");
});

test("a store tells of changes only, and of listeners that throw", () => {
  const thrown: unknown[] = [];
  const store = new Store(1, (error) => thrown.push(error));
  let told = 0;
  const stop = store.subscribe(() => {
    told += 1;
  });
  store.subscribe(() => {
    throw new Error("a bug");
  });
  store.set(1);
  store.set(2);
  stop();
  store.set(3);
  expect([told, thrown.length, store.get()]).toEqual([1, 2, 3]);
});
