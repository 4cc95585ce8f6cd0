export { FakeClient } from "./fake-client.js";
export { Value } from "./value.js";
