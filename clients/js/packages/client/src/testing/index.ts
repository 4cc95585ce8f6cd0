/** A server, a network, a clock and devices in memory, for tests of pages and of this package. */
export type { ToolOutcome } from "./fake-calls.js";
export { FakeMedia, type FakeMediaOptions, FakePath, fakeMedia } from "./fake-media.js";
export { FakeServer, type FakeServerOptions } from "./fake-server.js";
export { FakeSession, type SayOptions, type ScriptedBot } from "./fake-session.js";
export type { FakeFile } from "./file-shelf.js";
export { LoopbackNetwork, LoopbackSocket, type NetworkState } from "./loopback.js";
export { settled, VirtualTime } from "./virtual-time.js";
