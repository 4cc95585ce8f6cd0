/** What sends files, loaded when the first one is sent: most pages never do. */
import type { Payload } from "../media/media.js";
import type { Files } from "./files.js";
import type { Send } from "./opening.js";
import type { Scope } from "./scope.js";

export class FileLoader {
  #files: Files | undefined;

  constructor(
    private readonly scope: Scope,
    private readonly send: Send,
  ) {}

  async load(): Promise<Files> {
    const { Files } = await this.scope.env.load(import("./files.js"));
    this.#files ??= new Files(this.scope, this.send);
    return this.#files;
  }

  /** Takes `fileTaken` or `fileEnded`; nothing = messages were lost, both ways. */
  receive(payload?: Payload): void {
    this.#files?.receive(payload);
  }
}
