/** The schema says who sends a payload and how it is delivered. */
import { getOption } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { EnvelopeSchema } from "../test/reference.js";
import { audio, encoded, readRepo, thrown } from "../test/support.js";
import { ProtocolError } from "./errors.js";
import { Delivery, delivery, Sender, sender } from "./gen/voxwire/v1/options_pb.js";
import * as wire from "./wire.js";

const FIELDS = EnvelopeSchema.oneofs.flatMap(({ fields }) => fields);
const ALL = new Set(FIELDS.map(({ localName }) => localName));

test.each(FIELDS)("$name says who sends it and how it is delivered, and is exported", (field) => {
  expect(getOption(field, sender)).not.toBe(Sender.UNSPECIFIED);
  expect(getOption(field, delivery)).not.toBe(Delivery.UNSPECIFIED);
  const exported: Record<string, unknown> = { ...wire };
  const ours = wire.EnvelopeSchema.fields.find(({ name }) => name === field.localName);
  expect(ours?.message?.typeName).toBe(field.message?.typeName);
  expect(exported[`${field.message?.name}Schema`]).toBe(ours?.message);
});

test("payload sets follow the options", () => {
  for (const field of FIELDS) {
    const name = field.localName as wire.PayloadCase;
    const who = getOption(field, sender);
    expect(wire.CLIENT_PAYLOADS.has(name), name).toBe(who !== Sender.SERVER);
    expect(wire.SERVER_PAYLOADS.has(name), name).toBe(who !== Sender.CLIENT);
    const reliable = getOption(field, delivery) === Delivery.RELIABLE;
    expect(wire.RELIABLE_PAYLOADS.has(name), name).toBe(reliable);
  }
  expect(new Set([...wire.CLIENT_PAYLOADS, ...wire.SERVER_PAYLOADS])).toEqual(ALL);
  const both = [...wire.CLIENT_PAYLOADS].filter((name) => wire.SERVER_PAYLOADS.has(name));
  expect(both).toEqual([
    "audio",
    "ackOnly",
    "ping",
    "pong",
    "chunk",
    "error",
    "iceCandidate",
    "pathClose",
    "toolProgress",
    "toolCancel",
    "appMessage",
  ]);
  expect([...ALL].filter((name) => !wire.RELIABLE_PAYLOADS.has(name as wire.PayloadCase))).toEqual([
    "audio",
    "playoutReport",
    "ackOnly",
    "ping",
    "pong",
    "hello",
    "welcome",
    "waiting",
  ]);
});

test("the numbers are those of the specification", () => {
  const spec = readRepo("protocol/spec/limits.md");
  const limit = (name: string) =>
    Number(
      spec
        .split("\n")
        .find((line) => line.startsWith(`| ${name} |`))
        ?.split("|")[2],
    );
  expect({
    envelope: limit("envelope"),
    chunked: limit("chunked message"),
    audio: limit("`audio`"),
    hello: limit("Hello size"),
  }).toEqual({
    envelope: wire.DEFAULT_MAX_MESSAGE_BYTES,
    chunked: wire.MAX_CHUNKED_MESSAGE_BYTES,
    audio: wire.MAX_AUDIO_BYTES,
    hello: wire.MAX_HELLO_BYTES,
  });
  const python = readRepo("protocol/python/src/voxwire_protocol/wire.py");
  expect(python).toContain(`SUBPROTOCOL: Final = "${wire.SUBPROTOCOL}"`);
  expect(python).toContain(`PROTOCOL_VERSION: Final = ${wire.PROTOCOL_VERSION}\n`);
});

test("an envelope comes through, and its numbers are 0 unless they are said", () => {
  const message = wire.envelope({ case: "ping", value: { number: 3 } });
  expect([message.seq, message.ack]).toEqual([0n, 0n]);
  expect(wire.decodeEnvelope(wire.encodeEnvelope(message))).toEqual(message);
  const numbered = wire.envelope({ case: "bye", value: {} }, { seq: 4, ack: 5 });
  expect([numbered.seq, numbered.ack]).toEqual([4n, 5n]);
});

test("a message may stand in an envelope as it is", () => {
  const ping = wire.create(wire.PingSchema, { number: 3 });
  expect(wire.envelope({ case: "ping", value: ping }).payload.value).toBe(ping);
});

test.each([
  ["no tag", "ff"],
  ["cut off", "1a06080122"],
  ["no UTF-8 in a string", "0801fa03040a02c328"],
])("bytes that are no envelope are refused: %s", (_, text) => {
  const data = new Uint8Array(Buffer.from(text, "hex"));
  const error = thrown(ProtocolError, () => wire.decodeEnvelope(data));
  expect(error.code).toBe("malformed");
  expect(error.cause).toBeInstanceOf(Error);
});

test("every cut of an envelope is refused or another envelope, never another error", () => {
  for (const whole of [encoded("name", { seq: 300, ack: 2 }), wire.encodeEnvelope(audio())]) {
    for (let end = 0; end < whole.length; end++) {
      try {
        expect(wire.decodeEnvelope(whole.subarray(0, end)).$typeName).toBe("voxwire.v1.Envelope");
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
      }
    }
  }
});
