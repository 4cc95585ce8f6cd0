/** The codec of a page: protobuf for the messages of `gen/tables.ts`, and nothing beside it. */
export { create, type MessageInitShape, type MessageShape } from "./create.js";
export { fromBinary } from "./decode.js";
export { toBinary } from "./encode.js";
export type { EnumSchema, Field, Message, MessageSchema } from "./schema.js";
