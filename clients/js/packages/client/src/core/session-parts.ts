/** What messages mean for a session. Pure. */
import { type VoxwireError, wire } from "@voxwire/protocol";
import type { CloseReason } from "../api.js";
import type { Payload } from "../media/media.js";
import { lost } from "./attach.js";

/** How a session ended. */
export interface SessionEnd {
  readonly reason: CloseReason;
  readonly error?: VoxwireError;
}

/** The end that `SessionEnded` tells; `last` is the newest error of the server. */
export function endOf(reason: wire.EndReason, last: VoxwireError | undefined): SessionEnd {
  const { EndReason } = wire;
  switch (reason) {
    case EndReason.CLIENT:
      return { reason: "client" };
    case EndReason.BOT:
      return { reason: "bot" };
    case EndReason.SERVER:
      return { reason: "server" };
    case EndReason.EXPIRED:
      return { reason: "expired" };
    default:
      return { reason: "error", error: last ?? lost("the server ended the session") };
  }
}

/** What a snapshot says of utterances and calls that go on, as messages. */
export function spoken(snapshot: wire.Snapshot): Payload[] {
  const started = [snapshot.utterance ?? [], snapshot.queuedUtterances].flat();
  return [
    ...started.map((value) => ({ case: "utteranceStarted", value }) as const),
    ...snapshot.words.map((value) => ({ case: "utteranceWords", value }) as const),
    ...snapshot.toolCalls.map((value) => ({ case: "toolCallStarted", value }) as const),
  ];
}
