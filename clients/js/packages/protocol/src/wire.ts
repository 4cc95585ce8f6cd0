/** What goes over the wire: messages, envelopes, who sends what, and the protocol's numbers. */
export * from "./envelope.js";
export * from "./limits.js";
export * from "./messages.js";
export * from "./payloads.js";
