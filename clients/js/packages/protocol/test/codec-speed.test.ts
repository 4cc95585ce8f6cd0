/** How fast the codec is beside protobuf-es; printed, since a shared machine proves nothing. */
import * as es from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import * as wire from "../src/wire.js";
import { EnvelopeSchema } from "./reference.js";

const ROUNDS = 1000;

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

/** Microseconds a round, in the best of six batches. */
function measure(round: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let batch = 0; batch < 6; batch++) {
    const from = performance.now();
    for (let count = 0; count < ROUNDS; count++) round();
    best = Math.min(best, performance.now() - from);
  }
  return (best * 1000) / ROUNDS;
}

test.each(Object.entries(MESSAGES))("written and read: %s", (name, message) => {
  const ours = measure(() => wire.decodeEnvelope(wire.encodeEnvelope(message)));
  const theirs = measure(() => es.fromBinary(EnvelopeSchema, es.toBinary(EnvelopeSchema, message)));
  expect(wire.encodeEnvelope(message)).toEqual(es.toBinary(EnvelopeSchema, message));
  process.stdout.write(
    `${name}, written and read: ${ours.toFixed(1)} us, protobuf-es ${theirs.toFixed(1)} us\n`,
  );
});
