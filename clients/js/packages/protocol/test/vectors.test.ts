/** The golden cases of protocol/vectors hold for this implementation. */
import { readdirSync, readFileSync } from "node:fs";
import { fromJson, toJson } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { Channel, ChannelError } from "../src/channel.js";
import { codeToWire, VoxwireError } from "../src/errors.js";
import * as wire from "../src/wire.js";
import { EnvelopeSchema } from "./reference.js";
import { hex, readRepo, repoPath, unhex } from "./support.js";

const VECTORS = "protocol/vectors";
const list = (folder: string) => readdirSync(repoPath(`${VECTORS}/${folder}`)).sort();
const consumed = new Set<string>();

function consume(path: string): string {
  consumed.add(path);
  return readRepo(`${VECTORS}/${path}`);
}

const READ = ["capture", "channel", "clock", "rtvi", "tools", "wire", "words"];
/** Tests of @voxwire/client. */
const READ_BY_THE_CLIENT = ["addresses", "conversation", "diagnosis", "playout", "quality"];
/** For who decodes RTP itself. */
const NOT_HERE = ["jitter"];

const payloads = EnvelopeSchema.oneofs.flatMap(({ fields }) => fields);

test("there is one wire case for every payload", () => {
  const expected = payloads.flatMap(({ name }) => [`${name}.json`, `${name}.binpb`]);
  expect(list("wire")).toEqual(expected.sort());
});

test("every folder of vectors has a reader", () => {
  const folders = readdirSync(repoPath(VECTORS), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("__"))
    .map(({ name }) => name);
  expect(folders.sort()).toEqual([...READ, ...READ_BY_THE_CLIENT, ...NOT_HERE].sort());
});

describe("JSON and bytes of an envelope are the same message", () => {
  test.each(payloads)("$name", ({ name, localName }) => {
    const message = fromJson(EnvelopeSchema, JSON.parse(consume(`wire/${name}.json`)));
    consume(`wire/${name}.binpb`);
    const data = new Uint8Array(readFileSync(repoPath(`${VECTORS}/wire/${name}.binpb`)));
    expect(wire.decodeEnvelope(data)).toEqual(message);
    expect(hex(wire.encodeEnvelope(message))).toBe(hex(data));
    expect(message.payload.case).toBe(localName);
  });
});

interface Step {
  readonly op: string;
  readonly now_ms?: number;
  readonly message?: never;
  readonly data?: string;
  readonly last_seq?: number;
  readonly bytes?: readonly string[] | null;
  readonly messages?: readonly unknown[];
  readonly error?: string;
  readonly error_seq?: number;
}

interface Script {
  readonly options: Record<string, number> & {
    readonly peer: "client" | "server";
    readonly limits: Record<string, number>;
  };
  readonly steps: readonly Step[];
}

function channelOf({ peer, limits, ...options }: Script["options"]): Channel {
  const known = ["max_message_bytes", "max_receive_bytes", "max_send_bytes"];
  expect(Object.keys(options).sort()).toEqual(known);
  expect(Object.keys(limits).sort()).toEqual(["age_ms", "messages", "total_bytes"]);
  return new Channel({
    allowed: peer === "client" ? wire.CLIENT_PAYLOADS : wire.SERVER_PAYLOADS,
    maxSendBytes: Number(options.max_send_bytes),
    maxReceiveBytes: Number(options.max_receive_bytes),
    maxMessageBytes: Number(options.max_message_bytes),
    limits: {
      messages: Number(limits.messages),
      totalBytes: Number(limits.total_bytes),
      ageMs: Number(limits.age_ms),
    },
  });
}

interface Outcome {
  bytes?: Uint8Array[] | undefined;
  messages?: readonly wire.Envelope[];
}

function perform(channel: Channel, step: Step): Outcome {
  const nowMs = step.now_ms ?? 0;
  switch (step.op) {
    case "send":
      return { bytes: channel.send(fromJson(EnvelopeSchema, step.message ?? {}), nowMs) };
    case "receive":
      return { messages: channel.receive(unhex(step.data ?? ""), nowMs) };
    case "outgoing":
      return { bytes: channel.outgoing(nowMs) };
    case "resume":
      return { bytes: channel.resume(step.last_seq ?? 0, nowMs) };
    case "on_lost":
      channel.onLost(nowMs);
      return {};
    case "restart":
      channel.restart();
      return {};
    default: {
      const state = {
        op: "state",
        last_received: channel.lastReceived,
        last_sent: channel.lastSent,
        unacknowledged: channel.unacknowledged,
        next_due_ms: channel.nextDueMs ?? null,
      };
      expect(state).toEqual(step);
      return {};
    }
  }
}

function check(channel: Channel, step: Step): void {
  let outcome: Outcome = {};
  let error: VoxwireError | undefined;
  try {
    outcome = perform(channel, step);
  } catch (raised) {
    if (!(raised instanceof VoxwireError)) throw raised;
    error = raised;
    if (raised instanceof ChannelError) outcome = { messages: raised.delivered };
  }
  expect(error && `ERROR_CODE_${wire.ErrorCode[codeToWire(error.code)]}`).toBe(step.error);
  expect(error instanceof ChannelError ? error.seq : 0).toBe(step.error_seq ?? 0);
  if ("bytes" in step) expect(outcome.bytes?.map(hex) ?? null).toEqual(step.bytes);
  const messages = (outcome.messages ?? []).map((message) => toJson(EnvelopeSchema, message));
  expect(messages).toEqual(step.messages ?? []);
}

describe("channel script", () => {
  test.each(list("channel"))("%s", (name) => {
    const script: Script = JSON.parse(consume(`channel/${name}`));
    const channel = channelOf(script.options);
    script.steps.forEach((step, at) => {
      try {
        check(channel, step);
      } catch (cause) {
        throw new Error(`step ${at}: ${JSON.stringify(step)}`, { cause });
      }
    });
  });
});

test("no file of wire/ and channel/ was left out", () => {
  const all = ["wire", "channel"].flatMap((folder) =>
    list(folder).map((name) => `${folder}/${name}`),
  );
  expect([...consumed].sort()).toEqual(all.sort());
});
