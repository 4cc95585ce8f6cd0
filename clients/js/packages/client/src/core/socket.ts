import { errorFromClose, makeError, type VoxwireError } from "@voxwire/protocol";
import * as wire from "@voxwire/protocol/wire";
import { Lost, lost } from "./attach.js";
import type { WebSocketLike } from "./environment.js";
import type { Passage } from "./peer.js";
import { refused } from "./refusal.js";
import type { Scope } from "./scope.js";

/** How long the closing handshake may take, milliseconds. */
export const CLOSE_MS = 500;
const OPEN = 1;

export type Received = Uint8Array | string;

/** What takes a socket's messages. */
export interface SocketOwner {
  received(data: Received): void;
  /** @param closeCode - Of the WebSocket; undefined = the connection broke. */
  lost(error: VoxwireError, closeCode?: number): void;
}

interface CloseEventLike {
  readonly code?: number;
  readonly reason?: string;
}

/** An open WebSocket. Whoever dialled it aborts or closes it. */
export class Socket {
  openedMs: number;
  lastReceivedMs: number;
  #owner: SocketOwner | undefined;
  #inbox: Received[] = [];
  #error: VoxwireError | undefined;
  #closeCode: number | undefined;
  #closed: (() => void) | undefined;
  #gone = false;

  private constructor(
    private readonly socket: WebSocketLike,
    private readonly now: () => number,
    private readonly gate: Passage,
    /** Where it was dialled. */
    readonly url: string,
  ) {
    this.openedMs = this.lastReceivedMs = now();
    socket.onmessage = (event: { readonly data: unknown }) => {
      const { data } = event;
      const bytes = data instanceof ArrayBuffer ? new Uint8Array(data) : String(data);
      gate.in.let(() => this.#receive(bytes));
    };
    socket.onclose = (event: CloseEventLike) => {
      const { code, reason } = event;
      gate.in.let(() => this.#end(errorFromClose(code ?? 1006, reason), code));
    };
    socket.onerror = () => {};
  }

  /** Opens a socket; gives up when the scope ends. Rejects with a VoxwireError.
   *
   * @param protocol - What both must speak; "" = no subprotocol. */
  static async dial(
    scope: Scope,
    url: string,
    timeoutMs: number,
    gate: Passage,
    protocol: string = wire.SUBPROTOCOL,
  ): Promise<Socket> {
    const where = new URL(url).host;
    const { env } = scope;
    let pending: WebSocketLike | undefined;
    let gaveUp = false;
    const opening = (async () => {
      const socket = await env.openSocket(url, protocol);
      pending = socket;
      if (gaveUp) return discard(socket);
      socket.binaryType = "arraybuffer";
      await opened(socket, where, protocol);
      return new Socket(socket, () => env.now(), gate, url);
    })();
    try {
      const late = () =>
        makeError("timeout", `${where} did not answer in time`, { retryable: true });
      const socket = await scope.race(opening, timeoutMs, late);
      if (socket === undefined) throw late();
      return socket;
    } catch (error) {
      gaveUp = true;
      opening.catch(() => {});
      if (pending) discard(pending);
      throw error;
    }
  }

  /** Bytes that were sent and have not left this program. */
  get bufferedBytes(): number {
    return this.socket.bufferedAmount;
  }

  /** Gives the messages to another owner from now on; those that wait come at once. */
  own(owner: SocketOwner | undefined): void {
    this.#owner = owner;
    while (this.#owner === owner && owner && this.#inbox.length > 0) {
      owner.received(this.#inbox.shift() as Received);
    }
    if (this.#owner === owner && this.#error) owner?.lost(this.#error, this.#closeCode);
  }

  send(data: Uint8Array<ArrayBuffer>): void {
    this.gate.out.let(() => {
      if (!this.#gone && this.socket.readyState === OPEN) this.socket.send(data);
    });
  }

  /** Reads one message; rejects with `Lost` when the socket closes. */
  async read(scope: Scope): Promise<Received> {
    try {
      return await scope.wait<Received>((resolve, reject) => {
        this.own({
          received: (data) => {
            this.own(undefined);
            resolve(data);
          },
          lost: (error) => reject(new Lost(error)),
        });
      });
    } finally {
      this.own(undefined);
    }
  }

  /** Drops the socket at once, without a word; may be called again. */
  abort(): void {
    this.#gone = true;
    this.#owner = undefined;
    this.#inbox = [];
    discard(this.socket);
    this.#closed?.();
  }

  /** Breaks the connection as a broken network does: the owner is told. */
  cut(): void {
    discard(this.socket);
    this.#end(lost("the connection was cut"));
  }

  /** Closes the socket, within 0.5 s; aborts it if that takes longer. */
  async close(scope: Scope): Promise<void> {
    if (!this.#gone && this.#error === undefined) {
      this.#owner = undefined;
      await scope
        .wait<void>((resolve) => {
          this.#closed = resolve;
          this.socket.close(1000);
          return scope.after(CLOSE_MS, resolve);
        })
        .catch(() => {});
    }
    this.abort();
  }

  #receive(data: Received): void {
    if (this.#gone) return;
    this.lastReceivedMs = this.now();
    if (this.#owner && this.#inbox.length === 0) this.#owner.received(data);
    else this.#inbox.push(data);
  }

  #end(error: VoxwireError, closeCode?: number): void {
    if (this.#gone || this.#error) return;
    this.#error = error;
    this.#closeCode = closeCode;
    this.#closed?.();
    if (this.#inbox.length === 0) this.#owner?.lost(error, closeCode);
  }
}

/** Resolves when the WebSocket is open and speaks the protocol. */
function opened(socket: WebSocketLike, where: string, protocol: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let status = 0;
    socket.onopen = () => {
      if (socket.protocol === protocol) resolve();
      else reject(makeError("version", `${where} does not speak ${protocol}`));
    };
    socket.onerror = (event: { readonly message?: string }) => {
      status = Number(/response: (\d{3})/.exec(event.message ?? "")?.[1] ?? 0);
    };
    socket.onclose = (event: CloseEventLike) => reject(refusal(status, event, where));
  });
}

function refusal(status: number, { code, reason }: CloseEventLike, where: string): VoxwireError {
  if (status > 0) return refused(where, status, ""); // `ws` tells it, no browser does
  if (code !== undefined && code >= 4000) return errorFromClose(code, reason);
  return makeError("unreachable", `nothing answers at ${where}: is the server running?`, {
    retryable: true,
    action: "reconnect",
  });
}

function discard(socket: WebSocketLike): undefined {
  socket.onopen = socket.onmessage = socket.onclose = null;
  socket.onerror = () => {};
  try {
    if (socket.terminate) socket.terminate();
    else socket.close();
  } catch {
    // it was never open
  }
  return undefined;
}
