import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { fromBinary } from "./codec.js";
import { enumWord } from "./enum-words.js";
import { EVENT_OF_PAYLOAD, fromEnvelope, snapshotOf } from "./event-codec.js";
import {
  BotState,
  BotStateSchema,
  create,
  EnvelopeSchema,
  type ErrorCode,
  SnapshotSchema,
  TurnRole,
} from "./messages.js";
import { SERVER_PAYLOADS } from "./payloads.js";

const WIRE = new URL("../../../../../protocol/vectors/wire/", import.meta.url);

/** Payloads of a server that the session or its media handle; a program sees what comes of them. */
const HANDLED_INSIDE = [
  "audio",
  "ackOnly",
  "mediaAnchor",
  "flush",
  "ping",
  "pong",
  "chunk",
  "fileTaken",
  "fileEnded",
  "pathAnswer",
  "iceCandidate",
  "pathReady",
  "pathClose",
  "iceServersUpdate",
  "waiting",
  "toolRequest",
  "toolProgress",
  "toolCancel",
];

function vector(name: string) {
  const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return fromBinary(EnvelopeSchema, readFileSync(new URL(`${snake}.binpb`, WIRE)));
}

test("every payload that a server may send is an event or is handled inside", () => {
  const known = [...Object.keys(EVENT_OF_PAYLOAD), ...HANDLED_INSIDE];
  expect(known.sort()).toEqual([...SERVER_PAYLOADS].sort());
});

test("what is handled inside, and an empty envelope, is no event", () => {
  for (const name of [...HANDLED_INSIDE, "hello", "bye", "mute"]) {
    expect(fromEnvelope(vector(name)), name).toBeUndefined();
  }
  expect(fromEnvelope(create(EnvelopeSchema))).toBeUndefined();
});

test.each(Object.entries(EVENT_OF_PAYLOAD))("%s becomes its event, whole", (name, row) => {
  const broken: string[] = [];
  const made = fromEnvelope(vector(name), (field) => broken.push(field));
  expect(made?.type).toBe(row.type);
  expect(Object.keys(made?.event ?? {})).toEqual(Object.keys(row.fields));
  expect(Object.values(made?.event ?? {})).not.toContain(undefined);
  expect(JSON.stringify(made)).not.toMatch(/token|unknown/);
  expect(made?.event).toMatchSnapshot();
  expect(broken).toEqual([]);
  expect(isFrozenWhole(made)).toBe(true);
});

test("enum numbers become the words of the schema; what is not known is unknown", () => {
  expect(enumWord(BotStateSchema, BotState.SPEAKING)).toBe("speaking");
  expect([0, 99].map((value) => enumWord(BotStateSchema, value))).toEqual(["unknown", "unknown"]);
  const error = create(EnvelopeSchema, {
    payload: { case: "error", value: { code: 7777 as ErrorCode } },
  });
  expect(fromEnvelope(error)?.event).toMatchObject({ code: "internal", action: "none" });
});

function isFrozenWhole(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true;
  return Object.isFrozen(value) && Object.values(value).every(isFrozenWhole);
}

test("broken JSON is undefined and told; no JSON is undefined and is not", () => {
  const broken: string[] = [];
  for (const dataJson of ["{", "NaN", "", "[".repeat(100_000), '{"a":[1,null]}']) {
    const envelope = create(EnvelopeSchema, {
      payload: { case: "appMessage", value: { type: "t", dataJson } },
    });
    const made = fromEnvelope(envelope, (field) => broken.push(field));
    expect(made?.event).toEqual({
      type: "t",
      data: dataJson.startsWith('{"a') ? { a: [1, null] } : undefined,
      requestId: "",
      response: false,
    });
    expect(isFrozenWhole(made)).toBe(true);
  }
  expect(broken).toEqual(Array(3).fill("appMessage.data"));
});

test("words are cut out of the message's text by code points", () => {
  const envelope = create(EnvelopeSchema, {
    payload: {
      case: "utteranceWords",
      value: {
        utteranceId: "u",
        firstIndex: 4,
        baseMediaMs: 1000n,
        textOffset: 10,
        text: "👋🏽 hé",
        words: [
          { charStart: 10, charEnd: 12, startMs: 5, endMs: 9 },
          { charStart: 13, charEnd: 99, startMs: 10, endMs: 19 },
          { charStart: 2, charEnd: 11 },
          { charStart: 2, charEnd: 4 },
        ],
      },
    },
  });
  const made = fromEnvelope(envelope);
  if (made?.type !== "utteranceWords") throw new Error("another event");
  expect(made.event.words.map((word) => [word.index, word.text, word.startMs])).toEqual([
    [4, "👋🏽", 1005],
    [5, "hé", 1010],
    [6, "👋", 1000],
    [7, "", 1000],
  ]);
});

test("a snapshot is typed whole, and one without a state says unknown", () => {
  const welcome = vector("welcome");
  const whole = welcome.payload.case === "welcome" && welcome.payload.value.snapshot;
  expect(whole && snapshotOf(whole)).toEqual({
    turns: [{ turnId: "turn_id", role: "bot", text: "text", unheardText: "unheard_text" }],
    utteranceId: "utterance_id",
    heardMediaMs: 1004,
    callIds: ["call_id"],
    bot: "speaking",
    user: "speaking",
    userMuted: true,
  });
  const empty = create(SnapshotSchema, { turns: [{ role: TurnRole.USER }] });
  expect(snapshotOf(empty)).toEqual({
    turns: [{ turnId: "", role: "user", text: "", unheardText: "" }],
    utteranceId: "",
    heardMediaMs: 0,
    callIds: [],
    bot: "unknown",
    user: "unknown",
    userMuted: false,
  });
});
