/** What runs the client's tools, loaded beside a session that has some, else when the bot asks. */
import type { Payload } from "../media/media.js";
import type { Send } from "./opening.js";
import type { Scope } from "./scope.js";
import type { ToolRunner, ToolsHost } from "./tool-runner.js";

export class ToolLoader {
  #runner: ToolRunner | undefined;
  #waiting: Payload[] = [];

  constructor(
    private readonly scope: Scope,
    private readonly host: ToolsHost,
    private readonly send: Send,
  ) {}

  async load(): Promise<void> {
    try {
      const { ToolRunner } = await this.scope.env.load(import("./tool-runner.js"));
      this.#runner ??= new ToolRunner(this.scope, this.host, this.send);
      for (const payload of this.#waiting.splice(0)) this.#runner.receive(payload);
    } catch (error) {
      this.host.failed(error, "tools"); // the next message tries again
    }
  }

  /** Takes `ToolRequest` or `ToolCancel`. */
  receive(payload: Payload): void {
    if (this.#runner) {
      this.#runner.receive(payload);
      return;
    }
    this.#waiting.push(payload);
    void this.load();
  }
}
