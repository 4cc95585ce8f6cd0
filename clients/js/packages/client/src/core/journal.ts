import type { ClientEvents } from "@voxwire/protocol";
import type { ClientStatus } from "../api.js";

/** Entries that are kept; the oldest go first. */
const MAX_ENTRIES = 100;

/** What is told of events. */
const NOTED: {
  readonly [K in keyof ClientEvents]?: (
    event: ClientEvents[K],
  ) => Readonly<Record<string, string | number>>;
} = {
  pathChanged: ({ pathId, carrier, resentMs, lostMs }) => ({ pathId, carrier, resentMs, lostMs }),
  connectionChanged: ({ state, attempt, epoch, afterMs }) => ({ state, attempt, epoch, afterMs }),
  eventsSkipped: ({ count, unsent }) => ({ count, unsent }),
  error: ({ code, reason, subjectId }) => ({ code, reason, subjectId }),
  goingAway: ({ reason, timeLeftMs }) => ({ reason, timeLeftMs }),
};

/** What happened to a client, for a bug report: no content, no secrets. */
export class Journal {
  readonly #entries: Readonly<Record<string, string | number>>[] = [];

  constructor(private readonly now: () => number) {}

  get entries(): readonly Readonly<Record<string, string | number>>[] {
    return [...this.#entries];
  }

  note(what: string, fields: Readonly<Record<string, string | number | undefined>> = {}): void {
    const known = Object.entries(fields).filter((field): field is [string, string | number] => {
      return field[1] !== undefined && field[1] !== "";
    });
    const atMs = Math.round(this.now());
    this.#entries.push({ atMs, what, ...Object.fromEntries(known) });
    if (this.#entries.length > MAX_ENTRIES) this.#entries.shift();
  }

  event<K extends keyof ClientEvents>(type: K, event: ClientEvents[K]): void {
    const noted = NOTED[type]?.(event);
    if (noted) this.note(type, noted);
  }

  status(status: ClientStatus): void {
    const error =
      status.status === "closed"
        ? status.error
        : status.status === "reconnecting"
          ? status.cause
          : undefined;
    this.note(status.status, {
      stage: status.status === "connecting" ? status.stage : undefined,
      attempt: status.status === "reconnecting" ? status.attempt : undefined,
      ended: status.status === "closed" ? status.reason : undefined,
      code: error?.code,
      reason: error?.reason,
    });
  }
}
