import type { Client } from "@voxwire/client";
import type { TurnMetrics, wire } from "@voxwire/protocol";
import { MicrophoneTrace } from "./microphone-trace.js";
import { ServerClock } from "./server-clock.js";

/** A text that took longer than this waited for a connection. */
const LONGEST_MS = 5000;

/** What lies before a turn begins for the server: from the user's last sound, or Enter, to there. */
export class WayUp {
  readonly #client: Client;
  readonly #clock = new ServerClock();
  readonly #trace = new MicrophoneTrace();
  #textMs = Number.NEGATIVE_INFINITY;

  constructor(client: Client) {
    this.#client = client;
  }

  start(): () => void {
    const end = this.#client.tap((direction, envelope) => this.#take(direction, envelope));
    return () => {
      end();
      this.#trace.stop();
    };
  }

  /** To be called some times a second. */
  look(): void {
    this.#trace.look(this.#client.input);
  }

  /** Milliseconds; undefined where it cannot be told. */
  msOf({ typed, userStoppedServerUs }: TurnMetrics): number | undefined {
    if (userStoppedServerUs === undefined) return undefined;
    const arrivedMs = this.#clock.pageMs(userStoppedServerUs);
    if (arrivedMs === undefined) return undefined;
    const stoppedMs = typed ? this.#textMs : this.#trace.stopBefore(arrivedMs);
    if (stoppedMs === undefined || arrivedMs - stoppedMs > LONGEST_MS) return undefined;
    return Math.max(0, Math.round(arrivedMs - stoppedMs));
  }

  #take(direction: "in" | "out", envelope: wire.Envelope): void {
    const nowMs = performance.now();
    if (direction === "in") this.#clock.receive(envelope, nowMs);
    else if (envelope.payload.case === "sendText") this.#textMs = nowMs;
  }
}
