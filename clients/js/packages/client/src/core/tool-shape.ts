/** Functions of a page that a bot may use, as a program gives them. */
import type { JsonValue } from "@voxwire/protocol";

/** A function of the page that the bot may use; `tool(…)` makes one. */
export interface Tool {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of the arguments, an object. */
  readonly parameters: JsonValue;
  readonly timeoutMs?: number | undefined;
  /** What an interruption of the bot does to a call; default "cancel". */
  readonly onInterruption?: "cancel" | "finish" | "ask" | undefined;
  /** Checks and converts the arguments; of a zod or other Standard Schema object. */
  readonly parse?: ((value: JsonValue) => Promise<unknown>) | undefined;
  run(args: never, call: ToolCall): unknown;
}

/** One use of a tool. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** Aborted when the call is cancelled, times out, or the session ends. */
  readonly signal: AbortSignal;
  /** Tells the bot how far it is; the text is shown, not spoken. */
  progress(message: string, fraction?: number): void;
}
