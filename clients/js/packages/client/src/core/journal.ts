import type { ClientEvents, VoxwireError } from "@voxwire/protocol";
import type { ClientStatus } from "../api.js";

/** Entries that are kept; the oldest go first. */
const MAX_ENTRIES = 100;

/** What the journal says of events. */
const NOTED: { readonly [K in keyof ClientEvents]?: readonly (keyof ClientEvents[K])[] } = {
  pathChanged: ["pathId", "carrier", "resentMs", "lostMs"],
  connectionChanged: ["state", "attempt", "epoch", "afterMs"],
  eventsSkipped: ["count", "unsent"],
  error: ["code", "reason", "subjectId"],
  goingAway: ["reason", "timeLeftMs"],
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
    const noted = NOTED[type]?.map((name) => [name, event[name]]);
    if (noted) this.note(type, Object.fromEntries(noted));
  }

  status(status: ClientStatus): void {
    const of: { readonly status: string } & Partial<Record<"stage" | "reason", string>> & {
        readonly attempt?: number;
        readonly error?: VoxwireError;
        readonly cause?: VoxwireError;
      } = status;
    const { stage, attempt, reason: ended, error = of.cause } = of;
    this.note(status.status, { stage, attempt, ended, code: error?.code, reason: error?.reason });
  }
}
