/** RTVI in TypeScript does what protocol/vectors/rtvi says, as Python does. */
import * as es from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Message as EsMessage, MessageSchema } from "../src/gen/voxwire/rtvi/v2/message_pb.js";
import { type as typeOption } from "../src/gen/voxwire/rtvi/v2/options_pb.js";
import type { JsonValue } from "../src/json-text.js";
import {
  decode,
  encode,
  pingText,
  RtviError,
  type RtviMessage,
  readChat,
  StockBot,
  trackStatusText,
  versionText,
} from "../src/rtvi/index.js";
import * as wire from "../src/wire.js";
import * as reference from "./reference.js";
import { readRepo } from "./support.js";

type Json = { readonly [name: string]: JsonValue };

const load = (name: string) => JSON.parse(readRepo(`protocol/vectors/rtvi/${name}.json`));

interface Group {
  readonly rtvi: string;
  readonly messages: readonly Json[];
}

interface Entry {
  readonly type: string;
  readonly data?: JsonValue;
}

function corpus(): (readonly [string, Json])[] {
  const wheel: { rtvi: string; messages: { message: Json }[] } = load("corpus-pipecat");
  const groups: Group[] = [...load("corpus-clients"), ...load("corpus-older")];
  return [
    ...wheel.messages.map(({ message }) => [wheel.rtvi, message] as const),
    ...groups.flatMap(({ rtvi, messages }) => messages.map((one) => [rtvi, one] as const)),
    ...load("payloads").map(({ type, data }: Entry) => [
      "2.2.0",
      { label: "rtvi-ai", type, ...(data === undefined ? {} : { data }) },
    ]),
  ];
}

const CORPUS = corpus();

const text = (message: Json) => JSON.stringify(message);

/** A message without the text that it was read from, so that it is written anew. */
const bare = ({ text: _, ...message }: RtviMessage): RtviMessage => message;

// The binary form is protobuf-es' of the generated schema; pages do not have it.

const ARMS = new Map<string, es.DescField[]>();
for (const field of MessageSchema.fields) {
  const name = es.getOption(field, typeOption);
  if (name) ARMS.set(name, [field, ...(ARMS.get(name) ?? [])]);
}

const BARE = new Set(["NoData", "BotInterrupted"]);

/** JSON to compare by: members in order. */
function sorted(value: unknown): string {
  return JSON.stringify(value, (_, part) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

/** Bytes of a message in the schema; undefined when that would lose anything. */
function packed(message: RtviMessage): Uint8Array | undefined {
  if (message.extra) return undefined;
  for (const field of ARMS.get(message.type) ?? []) {
    if (field.fieldKind !== "message") continue;
    try {
      const isBare = BARE.has(field.message.name) && (message.data ?? null) === null;
      const says = isBare ? {} : message.data;
      if (says === undefined) continue;
      const value = es.fromJson(field.message, says as es.JsonValue);
      const made = es.create(MessageSchema, {
        ...(message.id === undefined ? {} : { id: message.id }),
        payload: { case: field.localName, value } as EsMessage["payload"],
      });
      const bytes = es.toBinary(MessageSchema, made);
      const back = unpacked(bytes, message);
      if (sorted(back) === sorted(says)) return bytes;
    } catch {
      // this arm does not hold it
    }
  }
  return undefined;
}

function unpacked(bytes: Uint8Array, message: RtviMessage): es.JsonValue {
  const { id, payload } = es.fromBinary(MessageSchema, bytes);
  expect(id).toBe(message.id);
  const field = MessageSchema.fields.find(({ localName }) => localName === payload.case);
  if (field?.fieldKind !== "message" || payload.value === undefined) throw new Error("no payload");
  return es.toJson(field.message, payload.value as es.Message, {
    alwaysEmitImplicit: field.message.name === "BotLlmMarker",
  });
}

describe("the corpus", () => {
  test("every message comes back from its text, with or without what it was read from", () => {
    for (const [, message] of CORPUS) {
      const read = decode(text(message));
      expect(encode(read)).toBe(text(message));
      expect(JSON.parse(encode(bare(read)))).toEqual(message);
      expect(bare(decode(encode(bare(read))))).toEqual(bare(read));
    }
    expect(CORPUS.length).toBeGreaterThan(400);
  });

  test("every message of RTVI 2 comes back from its bytes without the fallback", () => {
    let opaque = 0;
    let jsonBytes = 0;
    let packedBytes = 0;
    for (const [version, message] of CORPUS) {
      const bytes = packed(decode(text(message)));
      jsonBytes += Buffer.byteLength(text(message));
      packedBytes +=
        bytes?.length ?? Buffer.byteLength(text(message)) + String(message.type).length + 9;
      if (bytes) continue;
      opaque += 1;
      expect(version.startsWith("2."), text(message)).toBe(false);
    }
    expect(opaque).toBeGreaterThan(0);
    const share = packedBytes / jsonBytes;
    process.stdout.write(
      `  rtvi: ${CORPUS.length} messages, ${opaque} through the fallback (0 of RTVI 2), ` +
        `${(100 * share).toFixed(1)} % of the JSON\n`,
    );
    expect(share).toBeLessThanOrEqual(0.4);
  });

  test("whole numbers above 2^53 are kept where a message is passed on", () => {
    const big = '{"label":"rtvi-ai","type":"ui-command","data":{"n":9007199254740993}}';
    const [message] = new StockBot({ newId: () => "1" }).read(decode(big), 0);
    expect(message?.payload.value).toMatchObject({ type: "rtvi-ai", dataJson: big });
  });
});

interface Refused {
  readonly text: readonly (readonly [string, number])[];
  readonly error: string;
}

test.each(load("refused") as Refused[])("what is no message is a typed error (%#)", (entry) => {
  const whole = entry.text.map(([piece, times]) => piece.repeat(times)).join("");
  try {
    decode(whole);
  } catch (error) {
    expect(error).toBeInstanceOf(RtviError);
    expect((error as RtviError).code).toBe(entry.error.toLowerCase());
    return;
  }
  expect.unreachable();
});

interface Step {
  readonly op: "read" | "lost" | "late" | "overdue" | "write" | "state";
  readonly message: Json;
  readonly media_ms: number;
  readonly envelopes?: readonly es.JsonValue[];
  readonly envelope: es.JsonValue;
  readonly messages: readonly Json[];
  readonly error?: string;
  readonly version?: string;
  readonly capabilities?: Json;
  readonly utterance_id?: string;
}

interface Script {
  readonly options: { readonly tools?: readonly string[] };
  readonly steps: readonly Step[];
}

const bytesOf = (json: es.JsonValue) =>
  es.toBinary(reference.EnvelopeSchema, es.fromJson(reference.EnvelopeSchema, json));

const shown = (envelope: wire.Envelope) =>
  es.toJson(
    reference.EnvelopeSchema,
    es.fromBinary(reference.EnvelopeSchema, wire.encodeEnvelope(envelope)),
  );

const wanted = ({ envelopes = [] }: Step) =>
  envelopes.map((json) =>
    es.toJson(reference.EnvelopeSchema, es.fromJson(reference.EnvelopeSchema, json)),
  );

function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof RtviError) return error.code;
    throw error;
  }
  return "none";
}

/** The wanted message, with an id that a script leaves open. */
const sameId = (want: Json, have: RtviMessage | undefined): Json =>
  want.id === "id-+" ? { ...want, id: have?.id ?? null } : want;

const LATE = ["late", "never", "late-cut", "late-next", "late-order", "ahead", "goes-on", "odd"];
const SCRIPTS = ["speech", "unspaced", "cut", "lost", ...LATE, "tools", "app", "asked"];

test.each(SCRIPTS)("a stock bot: %s", (name) => {
  const script: Script = load(`bot-${name}`);
  let ids = 0;
  const bot = new StockBot({
    newId: () => `id-${++ids}`,
    tools: new Set(script.options.tools),
  });
  for (const [at, step] of script.steps.entries()) {
    const where = `step ${at}`;
    if (step.op === "state") {
      expect(bot.version && versionText(bot.version)).toBe(step.version);
      expect(bot.capabilities).toEqual(step.capabilities);
    } else if (step.op === "late") {
      expect(bot.lateUtteranceId, where).toBe(step.utterance_id);
    } else if (step.op === "lost" || step.op === "overdue") {
      expect(bot[step.op](step.media_ms).map(shown), where).toEqual(wanted(step));
    } else if (step.op === "read") {
      const read = () => bot.read(decode(text(step.message)), step.media_ms);
      if (step.error) {
        expect(codeOf(read), where).toBe(step.error.toLowerCase());
        continue;
      }
      const found = read();
      if (!step.envelopes) continue;
      expect(found.map(shown), where).toEqual(wanted(step));
    } else {
      const write = () => bot.write(wire.decodeEnvelope(bytesOf(step.envelope)));
      if (step.error) {
        expect(codeOf(write), where).toBe(step.error.toLowerCase());
        continue;
      }
      const sent = write();
      expect(
        sent.map((message) => JSON.parse(encode(message))),
        where,
      ).toEqual(step.messages.map((want, index) => sameId(want, sent[index])));
    }
  }
});

test("a file goes to a bot that takes files", () => {
  const { requests } = new StockBot({ newId: () => "f" });
  const file = { mediaType: "image/png", name: "a.png", base64: "AAE=" };
  expect(requests.sendFile("See", file)).toEqual({
    type: "send-file",
    id: "f",
    data: {
      content: "See",
      file: { format: "image/png", name: "a.png", source: { type: "bytes", bytes: "AAE=" } },
    },
  });
  const link = requests.sendFile("", { mediaType: "a/b", url: "https://x.test/a" });
  expect(link.data).toMatchObject({ file: { source: { type: "url", url: "https://x.test/a" } } });
  expect(codeOf(() => requests.sendFile("", file, [2, 1, 0]))).toBe("unsupported");
});

describe("the channel of a SmallWebRTC bot", () => {
  test("signaling is told from messages", () => {
    const signaling = (type: string) => `{"type": "signalling", "message": {"type": "${type}"}}`;
    expect(readChat(signaling("renegotiate"))).toEqual({ kind: "renegotiate" });
    expect(readChat(signaling("peerLeft"))).toEqual({ kind: "peerLeft" });
    expect(codeOf(() => readChat(signaling("x")))).toBe("malformed");
    expect(codeOf(() => readChat('{"type":"signalling"}'))).toBe("malformed");
    expect(codeOf(() => readChat("ping: 5"))).toBe("malformed");
    const said = '{"label":"rtvi-ai","type":"signalling","message":{"type":"peerLeft"}}';
    expect(readChat(said)).toMatchObject({ kind: "message", message: { type: "signalling" } });
  });

  test("a client says that it is there and what it sends", () => {
    expect(pingText(1755771072123)).toBe("ping: 1755771072123");
    expect(trackStatusText("screen", false)).toBe(
      '{"type":"signalling","message":{"type":"trackStatus","receiver_index":2,"enabled":false}}',
    );
  });
});

describe("anything", () => {
  const types = [...ARMS.keys(), "x", "constructor", "__proto__"];
  const members = fc.dictionary(
    fc.constantFrom(
      "text",
      "t",
      "d",
      "tool_call_id",
      "function_name",
      "final",
      "input_type",
      "error",
      "ttfb",
      "__proto__",
    ),
    fc.jsonValue(),
  );
  const message = fc.record(
    {
      label: fc.constant("rtvi-ai"),
      type: fc.constantFrom(...types),
      id: fc.string({ maxLength: 12 }),
      data: fc.oneof(members, fc.jsonValue()),
      x: fc.jsonValue(),
    },
    { requiredKeys: ["label", "type"] },
  );

  test("any text is a message or a typed error", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.json()), (any) => {
        expect(codeOf(() => decode(any))).toMatch(/^(none|malformed|too_large)$/);
      }),
    );
  });

  test("any message comes back, and a bot that says it throws the typed error only", () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 8 }), (messages) => {
        const bot = new StockBot({ newId: () => "1", tools: new Set(["", "x"]) });
        for (const one of messages) {
          const plain = JSON.stringify(one);
          const read = decode(plain);
          expect(sorted(JSON.parse(encode(bare(read))))).toBe(sorted(JSON.parse(plain)));
          codeOf(() => bot.read(read, 10).map(wire.encodeEnvelope));
        }
      }),
    );
  });
});
