export * from "./code-points.js";
export { fromEnvelope, type OnBroken, snapshotOf } from "./event-codec.js";
export type * from "./event-enums.js";
export type * from "./events.js";
export type * from "./events-connection.js";
export { type JsonValue, parseJson } from "./json.js";
