/** A TCP proxy between page and server that fails on demand. */
import { createConnection, createServer, type Server, type Socket } from "node:net";

/** pass: as it comes; mute: accepted, and nothing ever comes; handshake: the answer to the HTTP
 * upgrade comes, and nothing after it. */
export type Mode = "pass" | "mute" | "handshake";

export class Wire {
  mode: Mode = "pass";
  /** Where connections go. */
  target = 0;
  readonly #sockets = new Set<Socket>();
  #listener: Server | undefined;
  #port = 0;

  get port(): number {
    return this.#port;
  }

  /** Accepts connections, on the same port each time. */
  async open(): Promise<void> {
    const listener = createServer((socket) => this.#accept(socket));
    this.#listener = listener;
    await new Promise<void>((resolve, reject) => {
      listener.once("error", reject);
      listener.listen(this.#port, "127.0.0.1", resolve);
    });
    const address = listener.address();
    if (address && typeof address === "object") this.#port = address.port;
  }

  /** Resets every connection and refuses new ones until `open`. */
  cut(): void {
    this.#listener?.close();
    this.#listener = undefined;
    this.reset();
  }

  /** Resets every connection that there is. */
  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
    this.#sockets.clear();
  }

  #accept(socket: Socket): void {
    const mode = this.mode;
    this.#own(socket);
    if (mode === "mute") return;
    const there = createConnection(this.target, "127.0.0.1");
    this.#own(there);
    socket.on("data", (data) => there.write(data));
    let seen = "";
    there.on("data", (data) => {
      const [held] = mode === "handshake" ? [seen.includes("\r\n\r\n")] : [false];
      if (mode === "handshake") seen = (seen + data.toString("latin1")).slice(-4096);
      if (!held) socket.write(data);
    });
    socket.on("close", () => there.destroy());
    there.on("close", () => socket.destroy());
  }

  #own(socket: Socket): void {
    socket.setNoDelay(true);
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
  }
}
