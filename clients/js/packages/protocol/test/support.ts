/** What several tests of this package need. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Channel, type ChannelOptions } from "../src/channel.js";
import * as wire from "../src/wire.js";

const ROOT = fileURLToPath(new URL("../../../../../", import.meta.url));

/** A path in the repository. */
export const repoPath = (path: string) => ROOT + path;

export const readRepo = (path: string) => readFileSync(repoPath(path), "utf8");

export const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

export const unhex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));

export const server = (options: Partial<ChannelOptions> = {}) =>
  new Channel({ allowed: wire.CLIENT_PAYLOADS, ...options });

export const client = (options: Partial<ChannelOptions> = {}) =>
  new Channel({ allowed: wire.SERVER_PAYLOADS, ...options });

export const app = (type: string, numbers: wire.EnvelopeNumbers = {}) =>
  wire.envelope({ case: "appMessage", value: { type } }, numbers);

export const audio = (numbers: wire.EnvelopeNumbers = {}) =>
  wire.envelope({ case: "audio", value: { pathId: 1, data: new Uint8Array(640) } }, numbers);

export const encode = wire.encodeEnvelope;

export const encoded = (type: string, numbers: wire.EnvelopeNumbers = {}) =>
  encode(app(type, numbers));

/** The types of app messages. */
export const names = (messages: readonly wire.Envelope[]) =>
  messages.map(({ payload }) =>
    payload.case === "appMessage" ? payload.value.type : payload.case,
  );

/** What `call` throws, which is a `kind`. */
export function thrown<T extends Error>(
  kind: abstract new (...args: never[]) => T,
  call: () => unknown,
): T {
  try {
    call();
  } catch (error) {
    if (error instanceof kind) return error;
    throw error;
  }
  throw new Error(`no ${kind.name} was thrown`);
}
