/** What a path promises: `ready` once, or refused; `lost` once after that. */
import { codeFromWire, makeError, type VoxwireError, type wire } from "@voxwire/protocol";

export class Readiness {
  readonly ready: Promise<void>;
  readonly lost: Promise<VoxwireError>;
  #resolve: () => void = () => undefined;
  #reject: (error: VoxwireError) => void = () => undefined;
  #lose: (error: VoxwireError) => void = () => undefined;
  #set = false;

  constructor() {
    this.ready = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.lost = new Promise((resolve) => {
      this.#lose = resolve;
    });
    this.ready.catch(() => undefined); // who does not wait does not care
  }

  set(): void {
    this.#set = true;
    this.#resolve();
  }

  /** The path cannot be had, or not any more. */
  fail(error: VoxwireError): void {
    if (this.#set) this.#lose(error);
    else this.#reject(error);
  }

  /** The server gave the path up. */
  refuse(message: wire.PathClose): void {
    this.fail(givenUp(message));
  }
}

/** Why the server gave a path up. */
export function givenUp(message: wire.PathClose): VoxwireError {
  const code = message.code ? codeFromWire(message.code) : "unsupported";
  return makeError(code, message.reason || "the server gave the media path up");
}
