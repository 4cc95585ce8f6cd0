/** Messages in pieces: put together whole, or dropped with a word. */
import { expect, test } from "vitest";
import { app, audio, client, encode, encoded, names, server, thrown } from "../test/support.js";
import { ChannelError } from "./channel.js";
import { decode, framed, HEADER_BYTES } from "./delivery.js";
import * as wire from "./wire.js";

type ChunkInit = wire.MessageInitShape<typeof wire.ChunkSchema>;

const bytes = (text: string) => new TextEncoder().encode(text);
const piece = (seq: number, value: ChunkInit) =>
  encode(wire.envelope({ case: "chunk", value }, { seq }));
const refused = (call: () => unknown) => thrown(ChannelError, call);

test("pieces may stand between others and continue on the next carrier", () => {
  const [sender, receiver] = [client({ maxSendBytes: 128 }), server()];
  const pieces = sender.send(app("x".repeat(200)), 0);
  expect(pieces).toHaveLength(4);
  expect(receiver.receive(pieces[0] ?? bytes(""), 0)).toEqual([]);
  expect(receiver.receive(encode(audio()), 0)).toEqual([audio()]);
  receiver.onLost(0);
  const rest = sender.resume(receiver.lastReceived, 0) ?? [];
  expect(rest).toEqual(pieces.slice(1));
  const got = rest.flatMap((data) => receiver.receive(data, 0));
  expect(got).toEqual([app("x".repeat(200), { seq: 4 })]);
});

test("a message of exactly the limit passes", () => {
  const size = encoded("x".repeat(400)).length;
  const sender = client({ maxSendBytes: 128, maxMessageBytes: size });
  const receiver = server({ maxMessageBytes: size });
  const pieces = sender.send(app("x".repeat(400)), 0);
  expect(names(pieces.flatMap((data) => receiver.receive(data, 0)))).toEqual(["x".repeat(400)]);
});

test.each<[string, ChunkInit, string]>([
  ["not the first", { index: 1, data: bytes("x") }, "malformed"],
  ["empty", { totalBytes: 2 }, "malformed"],
  ["too large", { totalBytes: 1025, data: bytes("x") }, "too_large"],
  ["more than announced", { totalBytes: 1, data: bytes("xx"), last: true }, "malformed"],
  ["less than announced", { totalBytes: 2, data: bytes("x"), last: true }, "malformed"],
  ["not said to be the last", { totalBytes: 1, data: bytes("x") }, "malformed"],
  ["no envelope", { totalBytes: 1, data: new Uint8Array([255]), last: true }, "malformed"],
])("a piece that does not fit is refused and counts: %s", (_, chunk, code) => {
  const channel = server({ maxMessageBytes: 1024 });
  expect(refused(() => channel.receive(piece(1, chunk), 0))).toMatchObject({ code, seq: 1 });
  expect(names(channel.receive(encoded("next", { seq: 2 }), 0))).toEqual(["next"]);
});

test.each<[string, Uint8Array, string]>([
  ["numbered", encoded("m", { seq: 1 }), "malformed"],
  ["acknowledging", encoded("m", { ack: 1 }), "malformed"],
  ["lossy", encode(audio()), "malformed"],
  ["a chunk", encode(wire.envelope({ case: "chunk", value: { data: bytes("x") } })), "malformed"],
  ["the other side's", encode(wire.envelope({ case: "flush", value: {} })), "unexpected_message"],
  ["unknown", new Uint8Array([0xc2, 0x3e, 0]), "unexpected_message"],
])("what a chunked message may not be: %s", (_, body, code) => {
  const channel = server();
  const data = piece(1, { totalBytes: body.length, data: body, last: true });
  expect(refused(() => channel.receive(data, 0)).code).toBe(code);
  expect(channel.lastReceived).toBe(1);
});

test("a dropped message leaves nothing for the next one", () => {
  const channel = server();
  const body = encoded("m");
  channel.receive(piece(1, { totalBytes: 100, data: body }), 0);
  expect(refused(() => channel.receive(piece(2, { index: 2, data: body }), 0)).seq).toBe(2);
  expect(refused(() => channel.receive(piece(3, { index: 1, data: body }), 0)).seq).toBe(3);
  const again = piece(4, { totalBytes: body.length, data: body, last: true });
  expect(names(channel.receive(again, 0))).toEqual(["m"]);
});

test("several faults released at once raise the first and lose nothing", () => {
  const channel = server();
  for (const seq of [3, 4]) channel.receive(piece(seq, { index: 1, data: bytes("x") }), 0);
  channel.receive(encoded("b", { seq: 2 }), 0);
  channel.receive(encoded("e", { seq: 5 }), 0);
  const error = refused(() => channel.receive(encoded("a", { seq: 1 }), 0));
  expect([error.code, error.seq]).toEqual(["malformed", 3]);
  expect(names(error.delivered)).toEqual(["a", "b", "e"]);
});

test("what is no fault of the message comes through as it is", () => {
  class Broken extends Set<wire.PayloadCase> {
    override has(name: wire.PayloadCase): boolean {
      if (name === "bye") throw new RangeError("not the peer's fault");
      return super.has(name);
    }
  }
  const body = encode(wire.envelope({ case: "bye", value: {} }));
  const channel = server({ allowed: new Broken(["chunk"]) });
  const data = piece(1, { totalBytes: body.length, data: body, last: true });
  expect(() => channel.receive(data, 0)).toThrow(RangeError);
});

test("seq and ack take at most as much as is left for them", () => {
  const most = Number.MAX_SAFE_INTEGER;
  expect(framed(most, most, encoded("")).length).toBeLessThanOrEqual(
    encoded("").length + HEADER_BYTES,
  );
  const framedBack = wire.decodeEnvelope(framed(most, 300, encoded("m")));
  expect(framedBack).toEqual(app("m", { seq: most, ack: 300 }));
});

test("an error keeps what the decoder said", () => {
  const error = refused(() => decode(new Uint8Array([255]), "no envelope", 7));
  expect(error).toMatchObject({ name: "ChannelError", reason: "no envelope", seq: 7 });
  expect(error.cause).toBeInstanceOf(Error);
});
