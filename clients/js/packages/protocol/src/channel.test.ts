/** Numbered delivery: what is sent, taken, acknowledged, repeated. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  app,
  audio,
  client,
  encode,
  encoded,
  names,
  server,
  thrown,
  unhex,
} from "../test/support.js";
import { ACK_DELAY_MS, ACK_EVERY, ChannelError, MIN_SEND_BYTES } from "./channel.js";
import { UsageError } from "./errors.js";
import * as wire from "./wire.js";

const refused = (call: () => unknown) => thrown(ChannelError, call);
const numbered = (seq: number, payload: string) =>
  unhex(`08${seq.toString(16).padStart(2, "0")}${payload}`);
/** A payload that only a server may send, and one that this version does not know. */
const WRONG = ["ca0200", "c23e00"];

describe("send", () => {
  test("reliable messages are numbered from one", () => {
    const channel = client();
    const sent = [1, 2, 3].flatMap(() => channel.send(app("m"), 0));
    expect(sent.map((data) => wire.decodeEnvelope(data).seq)).toEqual([1n, 2n, 3n]);
    expect([channel.lastSent, channel.unacknowledged]).toEqual([3, 3]);
  });

  test("the given message is not changed and its numbers are ignored", () => {
    const channel = client();
    const message = app("m", { seq: 9, ack: 8 });
    expect(channel.send(message, 0)).toEqual([encoded("m", { seq: 1 })]);
    expect(message).toEqual(app("m", { seq: 9, ack: 8 }));
    expect(channel.send(audio({ ack: 8 }), 0)).toEqual([encode(audio())]);
  });

  test("lossy messages are neither numbered nor kept", () => {
    const channel = client();
    expect(channel.send(audio(), 0)).toEqual([encode(audio())]);
    expect(channel.lastSent).toBe(0);
    expect(channel.resume(0, 0)).toEqual([]);
  });

  test("an owed ack goes with audio once", () => {
    const channel = server();
    channel.receive(encoded("m", { seq: 1 }), 0);
    expect(channel.send(audio(), 1)).toEqual([encode(audio({ ack: 1 }))]);
    expect(channel.send(audio(), 2)).toEqual([encode(audio())]);
    expect(channel.outgoing(9999)).toEqual([]);
  });

  test("an ack stays owed when the message that would have carried it is too large", () => {
    const channel = server({ maxSendBytes: 600 });
    channel.receive(encoded("m", { seq: 1 }), 0);
    expect(refused(() => channel.send(audio(), 1)).code).toBe("too_large");
    expect(channel.nextDueMs).toBe(ACK_DELAY_MS);
  });

  test.each(["hello", "welcome"] as const)("a %s carries no ack", (name) => {
    const channel = server();
    channel.receive(encoded("m", { seq: 1 }), 0);
    const message = wire.envelope({ case: name, value: { lastSeq: 1n } });
    expect(channel.send(message, 1)).toEqual([encode(message)]);
    expect(channel.nextDueMs).toBe(ACK_DELAY_MS);
  });

  test("no payload and chunks are refused", () => {
    const channel = client();
    const none = { case: undefined } as const;
    const chunk = wire.envelope({ case: "chunk", value: {} });
    for (const message of [wire.envelope(none), wire.envelope(none, { seq: 1 }), chunk]) {
      expect(thrown(UsageError, () => channel.send(message, 0)).code).toBe("invalid_argument");
    }
    expect(channel.lastSent).toBe(0);
  });

  test("lossy messages above the limit are refused and reliable ones above the next", () => {
    const channel = client({ maxSendBytes: 600, maxMessageBytes: 2000 });
    expect(refused(() => channel.send(audio(), 0))).toMatchObject({ code: "too_large", seq: 0 });
    expect(refused(() => channel.send(app("x".repeat(2000)), 0)).code).toBe("too_large");
    expect(channel.lastSent).toBe(0);
    expect(channel.send(app("x".repeat(1900)), 0)).toHaveLength(4);
  });

  test("the limit can be set once the peer has said it", () => {
    const channel = client();
    expect(channel.maxSendBytes).toBe(wire.DEFAULT_MAX_MESSAGE_BYTES);
    channel.maxSendBytes = MIN_SEND_BYTES;
    expect(channel.send(app("x".repeat(200)), 0)).toHaveLength(4);
    for (const value of [MIN_SEND_BYTES - 1, Number.NaN]) {
      const error = thrown(UsageError, () => {
        channel.maxSendBytes = value;
      });
      expect(error.reason).toContain("at least 128");
    }
    expect(() => client({ maxSendBytes: 1 })).toThrow(UsageError);
    expect(channel.maxSendBytes).toBe(MIN_SEND_BYTES);
  });

  test("nothing is above the limit even when repeated, and all of it arrives", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 3000 }),
        fc.integer({ min: MIN_SEND_BYTES, max: 1000 }),
        (size, limit) => {
          const [sender, receiver] = [
            client({ maxSendBytes: limit }),
            server({ maxReceiveBytes: limit }),
          ];
          const first = sender.send(app("x".repeat(size)), 0);
          for (let seq = 1; seq <= 200; seq++) sender.receive(encoded("m", { seq }), 0);
          const again = sender.resume(0, 0) ?? [];
          expect(Math.max(...[...first, ...again].map((data) => data.length))).toBeLessThanOrEqual(
            limit,
          );
          const got = first.flatMap((data) => receiver.receive(data, 0));
          expect(names(got)).toEqual(["x".repeat(size)]);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("receive", () => {
  test("audio and acks are not numbered", () => {
    const channel = server();
    channel.send(app("m"), 0);
    expect(channel.receive(encode(audio({ ack: 1 })), 0)).toEqual([audio({ ack: 1 })]);
    expect(channel.unacknowledged).toBe(0);
    expect(channel.receive(encode(wire.envelope({ case: "ackOnly", value: {} })), 0)).toEqual([]);
  });

  test("early messages wait for the gap", () => {
    const channel = server();
    expect(channel.receive(encoded("c", { seq: 3 }), 0)).toEqual([]);
    expect(channel.receive(encoded("b", { seq: 2 }), 0)).toEqual([]);
    expect(channel.receive(encoded("b", { seq: 2 }), 0)).toEqual([]);
    expect([channel.lastReceived, channel.nextDueMs]).toEqual([0, undefined]);
    expect(names(channel.receive(encoded("a", { seq: 1 }), 0))).toEqual(["a", "b", "c"]);
    expect(channel.lastReceived).toBe(3);
  });

  test("what is held is bounded and a refused message can come again", () => {
    const channel = server({ limits: { messages: 3, totalBytes: 200 } });
    expect(channel.receive(encoded("x".repeat(100), { seq: 2 }), 0)).toEqual([]);
    const tooMuch = encoded("x".repeat(100), { seq: 3 });
    const wrong = { code: "unexpected_message" };
    expect(refused(() => channel.receive(tooMuch, 0))).toMatchObject({ ...wrong, seq: 3 });
    expect(channel.receive(encoded("x", { seq: 3 }), 0)).toEqual([]);
    const tooFar = encoded("x", { seq: 4 });
    expect(refused(() => channel.receive(tooFar, 0))).toMatchObject({ ...wrong, seq: 4 });
    expect(channel.receive(encoded("y".repeat(500), { seq: 1 }), 0)).toHaveLength(3);
    expect(channel.receive(encoded("x", { seq: 4 }), 0)).toHaveLength(1);
  });

  test("what was delivered does not count against what may be held", () => {
    const channel = server({ limits: { totalBytes: 200 } });
    for (let seq = 1; seq < 20; seq++) channel.receive(encoded("x".repeat(50), { seq }), 0);
    expect(channel.receive(encoded("x".repeat(100), { seq: 21 }), 0)).toEqual([]);
  });

  test("a number that a double cannot hold is too far ahead", () => {
    const huge = encode({ ...app("m"), seq: 2n ** 64n - 1n });
    expect(refused(() => server().receive(huge, 0)).code).toBe("unexpected_message");
    const ack = encode({ ...audio(), ack: 2n ** 64n - 1n });
    expect(refused(() => server().receive(ack, 0)).code).toBe("malformed");
  });

  test.each([
    ["nothing", unhex("")],
    ["no tag", unhex("ff")],
    ["a number without a payload", unhex("0801")],
    ["numbers without a payload", unhex("08011001")],
    ["a reliable message without a number", encoded("unnumbered")],
    ["a lossy message with a number", encode(audio({ seq: 1 }))],
    ["an ack of the future", encoded("m", { seq: 1, ack: 1 })],
    ["an ack of the future on audio", encode(audio({ ack: 1 }))],
  ])("a malformed message changes nothing: %s", (_, data) => {
    const channel = server();
    expect(refused(() => channel.receive(data, 0)).code).toBe("malformed");
    expect([channel.lastReceived, channel.nextDueMs]).toEqual([0, undefined]);
    expect(names(channel.receive(encoded("a", { seq: 1 }), 0))).toEqual(["a"]);
  });

  test("a message above the limit is not even parsed", () => {
    const channel = server({ maxReceiveBytes: 100 });
    const data = new Uint8Array(101).fill(0xff);
    expect(refused(() => channel.receive(data, 0))).toMatchObject({ code: "too_large", seq: 0 });
  });

  test.each(WRONG)("a wrong payload counts, so that those behind it do not wait: %s", (payload) => {
    const channel = server();
    const receive = (seq: number) => channel.receive(numbered(seq, payload), 0);
    expect(refused(() => receive(1)).code).toBe("unexpected_message");
    expect(receive(1)).toEqual([]);
    expect(channel.receive(encoded("d", { seq: 4 }), 0)).toEqual([]);
    expect(refused(() => receive(3)).delivered).toEqual([]);
    expect(names(channel.receive(encoded("b", { seq: 2 }), 0))).toEqual(["b", "d"]);
    expect(channel.receive(encoded("f", { seq: 6 }), 0)).toEqual([]);
    const error = refused(() => receive(5));
    expect([error.code, error.seq]).toEqual(["unexpected_message", 5]);
    expect(names(error.delivered)).toEqual(["f"]);
  });

  test("an unnumbered wrong payload is refused", () => {
    const welcome = encode(wire.envelope({ case: "welcome", value: {} }));
    const unknown = unhex("c23e00");
    for (const data of [welcome, unknown]) {
      const error = refused(() => server().receive(data, 0));
      expect([error.code, error.seq]).toEqual(["unexpected_message", 0]);
    }
  });

  test("garbage raises nothing but channel errors and the channel goes on", () => {
    const garbage = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 });
    fc.assert(
      fc.property(garbage, (pieces) => {
        const channel = server();
        for (const data of pieces) {
          try {
            channel.receive(data, 0);
          } catch (error) {
            expect(error).toBeInstanceOf(ChannelError);
          }
        }
        const seq = channel.lastReceived + 1;
        expect(names(channel.receive(encoded("ok", { seq }), 0))).toContain("ok");
      }),
      { numRuns: 500 },
    );
  });
});

describe("acknowledge", () => {
  test("due 250 ms after the oldest message", () => {
    const channel = server();
    channel.receive(encoded("m", { seq: 1 }), 100);
    channel.receive(encoded("m", { seq: 2 }), 300);
    expect(channel.nextDueMs).toBe(100 + ACK_DELAY_MS);
    expect(channel.outgoing(100 + ACK_DELAY_MS - 1)).toEqual([]);
    const ack = encode(wire.envelope({ case: "ackOnly", value: {} }, { ack: 2 }));
    expect(channel.outgoing(100 + ACK_DELAY_MS)).toEqual([ack]);
    expect(channel.nextDueMs).toBeUndefined();
    expect(channel.outgoing(10_000)).toEqual([]);
  });

  test("due at once after 32 messages", () => {
    const channel = server();
    for (let seq = 1; seq <= ACK_EVERY; seq++) {
      expect(channel.outgoing(7)).toEqual([]);
      channel.receive(encoded("m", { seq }), 7);
    }
    expect(channel.nextDueMs).toBe(7);
    expect(channel.outgoing(7)).toHaveLength(1);
  });

  test("due at once after a repetition", () => {
    const channel = server();
    channel.receive(encoded("m", { seq: 1 }), 0);
    channel.outgoing(1000);
    expect(channel.receive(encoded("m", { seq: 1 }), 2000)).toEqual([]);
    expect(channel.nextDueMs).toBe(2000);
    channel.receive(encoded("m", { seq: 2 }), 2100);
    expect(channel.nextDueMs).toBe(2000);
  });

  test("not owed any more on a lost carrier", () => {
    const channel = server();
    channel.receive(encoded("m", { seq: 1 }), 0);
    channel.onLost(1);
    expect(channel.nextDueMs).toBeUndefined();
    expect(channel.lastReceived).toBe(1);
  });
});

describe("resume", () => {
  test("repeats what is missing with the current ack", () => {
    const channel = server();
    for (const name of "abc") channel.send(app(name), 0);
    channel.receive(encoded("x", { seq: 1 }), 0);
    channel.onLost(0);
    expect(channel.resume(1, 0)).toEqual([
      encoded("b", { seq: 2, ack: 1 }),
      encoded("c", { seq: 3, ack: 1 }),
    ]);
    expect(channel.unacknowledged).toBe(2);
    expect(channel.resume(3, 0)).toEqual([]);
  });

  test("a number that was never sent is refused", () => {
    const channel = server();
    channel.send(app("a"), 0);
    expect(refused(() => channel.resume(2, 0)).code).toBe("malformed");
    expect(channel.resume(0, 0)).toEqual([encoded("a", { seq: 1 })]);
  });

  test("going back behind an acknowledgement cannot be repeated", () => {
    const channel = server();
    channel.send(app("a"), 0);
    channel.receive(encode(audio({ ack: 1 })), 0);
    expect(channel.resume(0, 0)).toBeUndefined();
  });

  test.each([
    ["messages", { messages: 2 }, 2],
    ["bytes", { totalBytes: encoded("m").length * 3 }, 3],
    ["age", { ageMs: 20 }, 3],
  ])("what exceeds a limit is gone: %s", (_, limits, kept) => {
    const channel = server({ limits });
    for (let atMs = 0; atMs < 50; atMs += 10) channel.send(app("m"), atMs);
    expect(channel.resume(5 - kept - 1, 40)).toBeUndefined();
    expect(channel.resume(5 - kept, 40)).toHaveLength(kept);
  });

  test("without other limits 2048 messages, 512 KiB and 60 s are kept", () => {
    const count = client();
    for (let number = 0; number < 2049; number++) count.send(app("m"), 0);
    expect(count.resume(0, 60_000)).toBeUndefined();
    expect(count.resume(1, 60_000)).toHaveLength(2048);
    expect(count.resume(2, 60_001)).toBeUndefined();
    const bytes = client();
    for (let number = 0; number < 9; number++) bytes.send(app("x".repeat(60_000)), 0);
    expect(bytes.resume(0, 0)).toBeUndefined();
    expect(bytes.resume(1, 0)).toHaveLength(8);
  });

  test("a restart numbers anew in both directions", () => {
    const channel = server();
    channel.send(app("a"), 0);
    channel.receive(encoded("x", { seq: 1 }), 0);
    channel.receive(encoded("z", { seq: 3 }), 0);
    channel.restart();
    expect([channel.lastReceived, channel.lastSent, channel.unacknowledged]).toEqual([0, 0, 0]);
    expect(channel.nextDueMs).toBeUndefined();
    expect(channel.resume(0, 0)).toEqual([]);
    expect(channel.send(app("b"), 0)).toEqual([encoded("b", { seq: 1 })]);
    expect(names(channel.receive(encoded("x", { seq: 1 }), 0))).toEqual(["x"]);
    expect(names(channel.receive(encoded("y", { seq: 2 }), 0))).toEqual(["y"]);
  });
});

test("what waits for the peer is known and whether more fits", () => {
  const sender = client({ limits: { messages: 2, totalBytes: 400 } });
  expect(sender.waitingSinceMs).toBeUndefined();
  for (const [nowMs, fits] of [
    [5, true],
    [6, true],
    [7, false],
  ] as const) {
    expect(sender.hasRoom(app(`m${nowMs}`))).toBe(fits);
    if (fits) sender.send(app(`m${nowMs}`), nowMs);
  }
  expect(sender.waitingSinceMs).toBe(5);
  sender.resume(1, 8);
  expect([sender.waitingSinceMs, sender.unacknowledged]).toEqual([6, 1]);
  expect(sender.hasRoom(app("x"))).toBe(true);
  expect(sender.hasRoom(app("x".repeat(400)))).toBe(false);
  sender.resume(2, 9);
  expect(sender.waitingSinceMs).toBeUndefined();
});
