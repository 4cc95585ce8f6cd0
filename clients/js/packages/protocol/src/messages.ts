/** The messages and enums of `voxwire/v1`, and what makes them. */
export { create, type MessageInitShape } from "./codec.js";
export * from "./gen/tables.js";
export type * as generated from "./generated.js";
