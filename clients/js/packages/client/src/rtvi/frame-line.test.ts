import { VoxwireError } from "@voxwire/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { WebSocketLike } from "../core/environment.js";
import { Gate } from "../core/gate.js";
import { Scope } from "../core/scope.js";
import { VirtualTime } from "../testing/index.js";
import { FrameLine } from "./frame-line.js";
import { socketUrl } from "./runner.js";

/** Promises that failed while nobody waited for them: Node ends a process for one. */
const unhandled: unknown[] = [];
const note = (reason: unknown) => void unhandled.push(reason);
let others: NodeJS.UnhandledRejectionListener[] = [];

beforeEach(() => {
  unhandled.length = 0;
  others = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
  process.on("unhandledRejection", note);
});

afterEach(() => {
  process.removeAllListeners("unhandledRejection");
  for (const one of others) process.on("unhandledRejection", one);
});

/** Lets Node look for promises whose failure nobody has taken. */
const turnOfTheLoop = () => new Promise((resolve) => setImmediate(resolve));

/** A line that dials where `url` says; its socket never opens by itself. */
function dialling(url = () => "ws://bot.test/ws-client") {
  const time = new VirtualTime();
  const sockets: WebSocketLike[] = [];
  const openSocket = () => {
    const socket = { readyState: 0, terminate() {} } as unknown as WebSocketLike;
    sockets.push(socket);
    return socket;
  };
  const env = { ...time, now: time.now, after: time.after, openSocket } as never;
  const scope = new Scope(env);
  const failed: unknown[] = [];
  const host = { scope, failed: (error: unknown) => void failed.push(error) } as never;
  const line = new FrameLine({ host, gate: new Gate(env), url, dialMs: 60_000 });
  line.take({ case: "pathOpen", value: { pathId: 1 } } as never);
  return { failed, scope, sockets, time };
}

test("a dial that is given up ends in silence, whatever the reason", async () => {
  const reasons = [Symbol("hung up"), new DOMException("timed out", "TimeoutError")];
  for (const reason of reasons) {
    const { failed, scope, time } = dialling();
    await time.advance(10);
    scope.close(reason);
    await turnOfTheLoop();
    expect(failed).toEqual([]);
  }
  expect(unhandled).toEqual([]);
});

test("a URL that is none is the error of the session", async () => {
  const { failed } = dialling(() => socketUrl("ws://[bad", "http://bot.test"));
  await turnOfTheLoop();
  expect(failed).toMatchObject([{ code: "malformed" }]);
  expect(unhandled).toEqual([]);
});

test("what a dial throws that is no error of ours is one all the same", async () => {
  const { failed } = dialling(() => {
    throw new TypeError("odd");
  });
  await turnOfTheLoop();
  expect(failed).toMatchObject([{ code: "internal" }]);
  expect(failed[0]).toBeInstanceOf(VoxwireError);
  expect(unhandled).toEqual([]);
});

test("a socket that does not open says what may be wrong", async () => {
  const { failed, sockets, time } = dialling();
  await time.advance(0);
  sockets[0]?.onclose?.({ code: 1006 } as never);
  await turnOfTheLoop();
  expect(failed).toMatchObject([
    { code: "unreachable", retryable: true, reason: expect.stringContaining("/ws-client") },
  ]);
});
