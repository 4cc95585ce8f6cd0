export type * from "./api.js";
export type { Environment, WebSocketLike } from "./core/environment.js";
export { createClient } from "./create-client.js";
export type * from "./media/media.js";
