/** WebSockets in memory, with a network between them that can fail. */
import type { WebSocketLike } from "../core/environment.js";
import type { Clock } from "../media/headless-media.js";

const CONNECTING = 0;
export const OPEN = 1;
const CLOSED = 3;

/** `up`; `refused`: nothing listens; `dark`: nothing answers, and what is sent waits. */
export type NetworkState = "up" | "refused" | "dark";

/** What the server's end of a socket is given. */
export type Accept = (socket: LoopbackSocket) => void;

/** Joins clients and one server. */
export class LoopbackNetwork {
  latencyMs = 1;
  #state: NetworkState = "up";
  /** Sockets that are not closed, of clients. */
  readonly open = new Set<LoopbackSocket>();
  /** Every URL that was dialled. */
  readonly dialled: string[] = [];
  /** URLs with a state of their own. */
  readonly stateOf = new Map<string, NetworkState>();
  /** What waits for the network to be there again. */
  #held: (() => void)[] = [];

  constructor(
    readonly clock: Clock,
    private readonly accept: Accept,
  ) {}

  get state(): NetworkState {
    return this.#state;
  }

  set state(state: NetworkState) {
    this.#state = state;
    if (state !== "dark") for (const pass of this.#held.splice(0)) pass();
  }

  /** `Environment.openSocket`. */
  readonly openSocket = (url: string, protocol: string): WebSocketLike => {
    const mine = new LoopbackSocket(this, protocol, url);
    const theirs = new LoopbackSocket(this, protocol, url);
    this.dialled.push(url);
    mine.peer = theirs;
    theirs.peer = mine;
    this.open.add(mine);
    this.pass(() => {
      if (mine.readyState !== CONNECTING) return;
      const state = this.stateOf.get(url) ?? this.#state;
      if (state === "refused") mine.fail(1006);
      if (state !== "up") return;
      mine.readyState = theirs.readyState = OPEN;
      this.accept(theirs);
      mine.onopen?.({} as never);
    });
    return mine;
  };

  /** Breaks every connection; both ends are told. */
  cut(): void {
    for (const socket of [...this.open]) {
      socket.peer?.fail(1006);
      socket.fail(1006);
    }
  }

  /** Does something at the other end, later and in order. */
  pass(fn: () => void): void {
    this.clock.after(this.latencyMs, () => {
      if (this.#state === "dark") this.#held.push(fn);
      else fn();
    });
  }
}

type Handler<E> = ((event: E) => void) | null;

/** One end. */
export class LoopbackSocket implements WebSocketLike {
  binaryType = "arraybuffer";
  readyState = CONNECTING;
  readonly bufferedAmount = 0;
  peer: LoopbackSocket | undefined;
  onopen: Handler<never> = null;
  onmessage: Handler<never> = null;
  onclose: Handler<never> = null;
  onerror: Handler<never> = null;

  constructor(
    private readonly network: LoopbackNetwork,
    readonly protocol: string,
    readonly url: string,
  ) {}

  send(data: Uint8Array<ArrayBuffer>): void {
    const copy = data.slice().buffer;
    this.network.pass(() => {
      const peer = this.peer;
      if (peer?.readyState === OPEN) peer.onmessage?.({ data: copy } as never);
    });
  }

  close(code = 1005, reason = ""): void {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    this.network.open.delete(this);
    this.network.pass(() => {
      this.peer?.fail(code, reason);
      this.onclose?.({ code, reason } as never);
    });
  }

  terminate(): void {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    this.network.open.delete(this);
    this.network.pass(() => this.peer?.fail(1006));
  }

  /** The other end is gone. */
  fail(code: number, reason = ""): void {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    this.network.open.delete(this);
    if (code === 1006) this.onerror?.({} as never);
    this.onclose?.({ code, reason } as never);
  }
}
