/** How fast the codec is beside protobuf-es; printed, since a shared machine proves nothing. */
import * as es from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import * as wire from "../src/wire.js";
import { EnvelopeSchema } from "./reference.js";

const ROUNDS = 4000;

const MESSAGES = {
  "640 bytes of audio": wire.envelope({
    case: "audio",
    value: { pathId: 1, sampleIndex: 480_000n, data: new Uint8Array(640).fill(7) },
  }),
  "a transcript": wire.envelope(
    {
      case: "transcript",
      value: { text: "What is the weather like in Rome?", final: true, turnId: "turn-12" },
    },
    { seq: 312, ack: 77 },
  ),
};

/** Microseconds a round, of the second half, when the code is warm. */
function measure(round: () => void): number {
  let from = 0;
  for (let count = 0; count < ROUNDS; count++) {
    if (count === ROUNDS / 2) from = performance.now();
    round();
  }
  return ((performance.now() - from) * 1000) / (ROUNDS / 2);
}

test.each(Object.entries(MESSAGES))("written and read: %s", (name, message) => {
  const ours = measure(() => wire.decodeEnvelope(wire.encodeEnvelope(message)));
  const theirs = measure(() => es.fromBinary(EnvelopeSchema, es.toBinary(EnvelopeSchema, message)));
  expect(wire.encodeEnvelope(message)).toEqual(es.toBinary(EnvelopeSchema, message));
  process.stdout.write(
    `${name}, written and read: ${ours.toFixed(1)} us, protobuf-es ${theirs.toFixed(1)} us\n`,
  );
});
