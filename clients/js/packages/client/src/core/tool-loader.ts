/** What runs the client's tools, loaded beside a session that has some, else when the bot asks. */
import * as wire from "@voxwire/protocol/wire";
import type { Send } from "./opening.js";
import type { Scope } from "./scope.js";
import type { Late, ToolPayload, ToolRunner, ToolsHost } from "./tool-runner.js";

export class ToolLoader {
  #runner: ToolRunner | undefined;
  /** What came before that, and when. */
  #waiting: Late[] = [];

  constructor(
    private readonly scope: Scope,
    private readonly host: ToolsHost,
    private readonly send: Send,
  ) {}

  async load(): Promise<void> {
    try {
      const { ToolRunner } = await this.scope.env.load(import("./tool-runner.js"));
      this.#runner ??= new ToolRunner(this.scope, this.host, this.send);
      this.#runner.catchUp(this.#waiting.splice(0));
    } catch (error) {
      this.host.failed(error, "tools"); // the next message tries again
      for (const [payload] of this.#waiting.splice(0)) this.#refuse(payload);
    }
  }

  /** Takes `ToolRequest` or `ToolCancel`. */
  receive(payload: ToolPayload): void {
    if (this.#runner) {
      this.#runner.receive(payload);
      return;
    }
    if (payload.case === "toolCancel") {
      this.#waiting = this.#waiting.filter(([{ value }]) => value.callId !== payload.value.callId);
    }
    this.#waiting.push([payload, this.scope.env.now()]);
    void this.load();
  }

  /** Answers a call that nothing here can run. */
  #refuse(payload: ToolPayload): void {
    if (payload.case !== "toolRequest") return;
    const { callId, callToken } = payload.value;
    const code = wire.ErrorCode.TOOL_FAILED;
    const value = { code, reason: "tools could not be loaded", subjectId: callId };
    const outcome = { case: "error", value } as const;
    try {
      this.send({ case: "toolResult", value: { callId, callToken, outcome } });
    } catch {
      // the session is over
    }
  }
}
