/** What messages mean for a session, and how it went. */
import type { VoxwireError } from "@voxwire/protocol";
import * as wire from "@voxwire/protocol/wire";
import type { CloseReason } from "../api.js";
import type { Media, MediaPath, Payload } from "../media/media.js";
import { lost } from "./attach.js";
import type { ControlChannel } from "./peer.js";
import type { Scope } from "./scope.js";

/** How long audio that was received may still play after the session ended, milliseconds. */
const DRAIN_MS = 300;
const DRAIN_STEP_MS = 50;

/** How a session ended. */
export interface SessionEnd {
  readonly reason: CloseReason;
  readonly error?: VoxwireError;
}

const REASONS = ["client", "bot", "server", "expired", "idle"] as const;

/** The end that `SessionEnded` tells; `last` is the newest error of the server. */
export function endOf(ended: wire.EndReason, last: VoxwireError | undefined): SessionEnd {
  const reason = REASONS.find(
    (one) => wire.EndReason[one.toUpperCase() as Uppercase<typeof one>] === ended,
  );
  if (reason) return { reason };
  return { reason: "error", error: last ?? lost("the server ended the session") };
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

/** Waits until what was received has played. */
export async function drain(scope: Scope, media: Media): Promise<void> {
  try {
    for (let leftMs = DRAIN_MS; leftMs > 0; leftMs -= DRAIN_STEP_MS) {
      const before = media.positionMs;
      await scope.sleep(DRAIN_STEP_MS);
      if (media.positionMs === before) return;
    }
  } catch {
    // this side hung up meanwhile
  }
}

/** Figures of a session for a bug report. */
export function figuresOf(
  welcome: wire.Welcome | undefined,
  { clock, droppedMessages, numbers }: ControlChannel,
  path: MediaPath | undefined,
) {
  const { sessionId = "", epoch = 0, bot = "", server = "" } = welcome ?? {};
  const { carrier = "none", pathId = 0 } = path ?? {};
  const rttMs = clock.rttUs === undefined ? null : clock.rttUs / 1000;
  return { sessionId, epoch, bot, server, carrier, pathId, rttMs, droppedMessages, ...numbers };
}

/** How a session went: it began or it did not, and it ended once. */
export class Outcome {
  readonly ready: Promise<void>;
  readonly ended: Promise<SessionEnd>;
  /** The end, once it is known; what is left of the session may still happen. */
  end: SessionEnd | undefined;
  begin!: () => void;
  #refuse!: (error: unknown) => void;
  #settle!: (end: SessionEnd) => void;

  constructor() {
    this.ready = new Promise((resolve, reject) => {
      this.begin = resolve;
      this.#refuse = reject;
    });
    this.ready.catch(() => {}); // it may fail while nobody waits
    this.ended = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** The first end counts. */
  decide(end: SessionEnd): void {
    this.end ??= end;
  }

  /** It is over, as it was decided, else with `end`. */
  settle(end: SessionEnd = { reason: "client" }): void {
    this.decide(end);
    this.#refuse(this.end?.error ?? lost("the session ended before it was ready"));
    this.#settle(this.end ?? end);
  }

  /** This side gives it up. */
  abandon(error: unknown): void {
    this.#refuse(error);
    this.settle();
  }
}
