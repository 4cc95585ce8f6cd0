import type { AnyEvent } from "@voxwire/client";

/** An event with the moment it was taken: milliseconds since the page was opened. */
export interface LogEntry {
  readonly number: number;
  readonly atMs: number;
  readonly type: AnyEvent["type"];
  readonly event: AnyEvent["event"];
}
