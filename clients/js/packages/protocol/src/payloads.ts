/** Who may send a payload of the envelope and how it is delivered, from the schema's options. */
import { PAYLOAD_DELIVERY, PAYLOAD_SENDER } from "./gen/tables.js";
import { type Envelope, EnvelopeSchema } from "./messages.js";

/** What an envelope carries, one of `{ case, value }`; `case` is undefined without any. */
export type Payload = Envelope["payload"];

/** Name of a payload: the key of the envelope's oneof. */
export type PayloadCase = Exclude<Payload["case"], undefined>;

/** The payloads whose digit in `digits` is one of `wanted`. */
function payloads(digits: string, wanted: string): ReadonlySet<PayloadCase> {
  const arms = EnvelopeSchema.fields.filter((field) => field.oneof);
  const chosen = arms.filter((_, at) => wanted.includes(digits.charAt(at)));
  return new Set(chosen.map((field) => field.name as PayloadCase));
}

/** Payloads that are numbered, acknowledged and replayed. */
export const RELIABLE_PAYLOADS: ReadonlySet<PayloadCase> = /* @__PURE__ */ payloads(
  PAYLOAD_DELIVERY,
  "1",
);

/** Payloads that a client may send. */
export const CLIENT_PAYLOADS: ReadonlySet<PayloadCase> = /* @__PURE__ */ payloads(
  PAYLOAD_SENDER,
  "13",
);

/** Payloads that a server may send. */
export const SERVER_PAYLOADS: ReadonlySet<PayloadCase> = /* @__PURE__ */ payloads(
  PAYLOAD_SENDER,
  "23",
);
