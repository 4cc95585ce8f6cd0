import type { Client } from "@voxwire/client";
import { DemoClient } from "./demo-client.js";

/** A client that needs no server. */
export const makeDemo = (): Client => new DemoClient();
