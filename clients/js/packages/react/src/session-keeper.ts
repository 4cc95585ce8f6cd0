import type { Client } from "@voxwire/client";

const keepers = new WeakMap<Client, SessionKeeper>();

/**
 * Counts who uses a client. Acts a microtask after the last mount or unmount, so that StrictMode's
 * mount, unmount, mount in one go is a single mount.
 */
export class SessionKeeper {
  #mounts = 0;
  readonly #client: Client;

  private constructor(client: Client) {
    this.#client = client;
  }

  /** The one keeper of a client. */
  static of(client: Client): SessionKeeper {
    let keeper = keepers.get(client);
    if (keeper === undefined) {
      keeper = new SessionKeeper(client);
      keepers.set(client, keeper);
    }
    return keeper;
  }

  /** Takes part; returns what ends that. */
  mount(options: { autoConnect: boolean; keepSession: boolean }): () => void {
    this.#mounts += 1;
    if (options.autoConnect) queueMicrotask(() => this.#connect());
    return () => {
      this.#mounts -= 1;
      if (!options.keepSession) queueMicrotask(() => this.#disconnect());
    };
  }

  #connect(): void {
    if (this.#mounts === 0 || this.#client.status.get().status !== "idle") return;
    // What went wrong is in `status`, where the hooks read it.
    this.#client.connect().catch(() => undefined);
  }

  #disconnect(): void {
    if (this.#mounts === 0) void this.#client.disconnect();
  }
}
