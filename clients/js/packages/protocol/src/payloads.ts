/** Who may send a payload of the envelope and how it is delivered, from the schema's options. */
import { getOption } from "@bufbuild/protobuf";
import { Delivery, delivery, Sender, sender } from "./gen/voxwire/v1/options_pb.js";
import { type Envelope, EnvelopeSchema } from "./messages.js";

/** What an envelope carries, one of `{ case, value }`; `case` is undefined without any. */
export type Payload = Envelope["payload"];

/** Name of a payload: the key of the envelope's oneof. */
export type PayloadCase = Exclude<Payload["case"], undefined>;

interface Choice {
  readonly delivery?: Delivery;
  readonly sender?: Sender;
}

function payloads(choice: Choice): ReadonlySet<PayloadCase> {
  const names = new Set<PayloadCase>();
  for (const field of EnvelopeSchema.oneofs.flatMap((oneof) => oneof.fields)) {
    const who = getOption(field, sender);
    const fits =
      (choice.delivery ?? getOption(field, delivery)) === getOption(field, delivery) &&
      (choice.sender === undefined || who === choice.sender || who === Sender.BOTH);
    if (fits) names.add(field.localName as PayloadCase);
  }
  return names;
}

/** Payloads that are numbered, acknowledged and replayed. */
export const RELIABLE_PAYLOADS: ReadonlySet<PayloadCase> = /* @__PURE__ */ payloads({
  delivery: Delivery.RELIABLE,
});

/** Payloads that a client may send. */
export const CLIENT_PAYLOADS: ReadonlySet<PayloadCase> = /* @__PURE__ */ payloads({
  sender: Sender.CLIENT,
});

/** Payloads that a server may send. */
export const SERVER_PAYLOADS: ReadonlySet<PayloadCase> = /* @__PURE__ */ payloads({
  sender: Sender.SERVER,
});
