import type { Client, ClientStatus } from "@voxwire/client";
import type { wire } from "@voxwire/protocol";
import { Store } from "./store.js";

/** What the protocol says when the server does not (protocol/spec/session.md, "Resuming"). */
const GRACE_MS = 60_000;

/** Since when the connection is away, and how long the client tries to have it back. */
export class Outage {
  /** Page time (`performance.now`), milliseconds; undefined while there is a connection. */
  readonly untilMs = new Store<number | undefined>(undefined);
  readonly #client: Client;
  #graceMs = GRACE_MS;

  constructor(client: Client) {
    this.#client = client;
  }

  start(): () => void {
    const look = () => this.#take(this.#client.status.get());
    const ends = [
      this.#client.status.subscribe(look),
      this.#client.tap((direction, envelope) => this.#hear(direction, envelope)),
    ];
    look();
    return () => {
      for (const end of ends) end();
    };
  }

  #hear(direction: "in" | "out", { payload }: wire.Envelope): void {
    if (direction === "in" && payload.case === "welcome")
      this.#graceMs = payload.value.graceMs || GRACE_MS;
  }

  #take({ status }: ClientStatus): void {
    const away = status === "reconnecting";
    if (away === (this.untilMs.get() !== undefined)) return;
    this.untilMs.set(away ? performance.now() + this.#graceMs : undefined);
  }
}
