import type { wire } from "@voxwire/protocol";

/** The fastest of so many exchanges counts. */
const KEPT = 8;

interface Exchange {
  readonly rttUs: number;
  readonly offsetUs: number;
}

/** The server's clock on the page's, from the pings and pongs that the client exchanges. */
export class ServerClock {
  #exchanges: Exchange[] = [];

  /** Takes what the client received; `nowMs` is the page's time. */
  receive({ payload }: wire.Envelope, nowMs: number): void {
    if (payload.case === "welcome" && !payload.value.resumed) this.#exchanges = [];
    if (payload.case !== "pong") return;
    const [t0, t1, t2] = [payload.value.t0Us, payload.value.t1Us, payload.value.t2Us].map(Number);
    if (t0 === undefined || t1 === undefined || t2 === undefined) return;
    const t3 = nowMs * 1000;
    const exchange = { rttUs: t3 - t0 - (t2 - t1), offsetUs: (t1 - t0 + t2 - t3) / 2 };
    this.#exchanges = [...this.#exchanges.slice(1 - KEPT), exchange];
  }

  /** The page's time (`performance.now`) of a moment of the server's; undefined = not known yet. */
  pageMs(serverUs: number): number | undefined {
    const [best] = this.#exchanges.toSorted((one, two) => one.rttUs - two.rttUs);
    return best && (serverUs - best.offsetUs) / 1000;
  }
}
