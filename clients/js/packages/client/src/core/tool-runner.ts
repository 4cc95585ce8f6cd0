import type { wire } from "@voxwire/protocol";
import type { Tool } from "../api.js";
import type { Payload } from "../media/media.js";
import type { OwnCall } from "./conversation.js";
import type { Send } from "./opening.js";
import type { Scope } from "./scope.js";

export interface ToolsHost {
  own(happened: OwnCall): void;
  readonly tools: readonly Tool[];
}

export class ToolRunner {
  readonly declarations: readonly wire.ToolDeclaration[] = [];
  constructor(_scope: Scope, _host: ToolsHost, _send: Send) {}
  receive(_payload: Payload): void {}
  close(): void {}
}
