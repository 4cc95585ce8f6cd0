import * as es from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import * as reference from "../gen/pipecat/frames_pb.js";
import { audioFrame, MAX_FRAME_BYTES, messageFrame, readFrame } from "./frames.js";

type Frame = es.MessageInitShape<typeof reference.FrameSchema>["frame"];
const written = (frame: Frame) =>
  es.toBinary(reference.FrameSchema, es.create(reference.FrameSchema, { frame: frame as never }));
const read = (data: Uint8Array) => es.fromBinary(reference.FrameSchema, data).frame;

test("what protobuf's own library writes is read, each arm as what it is", () => {
  const data = '{"label":"rtvi-ai","type":"bot-tts-text","data":{"text":"né 🙂"}}';
  expect(readFrame(written({ case: "message", value: { data } }))).toMatchObject({
    kind: "message",
    message: { type: "bot-tts-text", data: { text: "né 🙂" } },
  });
  const audio = Uint8Array.of(1, 2, 3, 4);
  const said = { id: 7n, name: "OutputAudioRawFrame#7", audio, sampleRate: 24_000, numChannels: 2 };
  expect(readFrame(written({ case: "audio", value: { ...said, pts: 5n } }))).toEqual({
    ...{ kind: "audio", data: audio, sampleRate: 24_000, numChannels: 2 },
  });
  expect(readFrame(written({ case: "interruption", value: { id: 1n } })).kind).toBe("interruption");
  for (const name of ["text", "transcription"] as const) {
    expect(readFrame(written({ case: name, value: { text: "hello" } })).kind).toBe("unknown");
  }
});

test("an arm of a newer bot, and none at all, are unknown and no error", () => {
  expect(readFrame(Uint8Array.of(0x32, 0x00)).kind).toBe("unknown"); // field 6
  expect(readFrame(new Uint8Array(0)).kind).toBe("unknown");
});

test("protobuf's own library reads what is written", () => {
  const message = { type: "client-ready", id: "1a2b3c4d", data: { version: "2.2.0" } };
  expect(read(messageFrame(message))).toMatchObject({
    case: "message",
    value: {
      data: '{"label":"rtvi-ai","type":"client-ready","id":"1a2b3c4d","data":{"version":"2.2.0"}}',
    },
  });
  const samples = Uint8Array.from({ length: 640 }, (_, at) => at % 256);
  expect(read(audioFrame(samples, 16_000))).toMatchObject({
    case: "audio",
    value: { id: 0n, name: "audio", audio: samples, sampleRate: 16_000, numChannels: 1 },
  });
});

test("what is no frame, too large, or holds no message of RTVI is refused with a reason", () => {
  const refusals: [Uint8Array, string, RegExp][] = [
    [Uint8Array.of(0xff), "malformed", /no frame/],
    [written({ case: "message", value: { data: "{}" } }), "malformed", /label/],
    [new Uint8Array(MAX_FRAME_BYTES + 1), "too_large", /1048576/],
  ];
  for (const [data, code, reason] of refusals) {
    expect(() => readFrame(data)).toThrow(
      expect.objectContaining({ code, reason: expect.stringMatching(reason) }),
    );
  }
});
