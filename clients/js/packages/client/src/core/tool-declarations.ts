import { dumpJson, makeError, utf8Length } from "@voxwire/protocol";
import * as wire from "@voxwire/protocol/wire";
import type { Tool } from "./tool-shape.js";

const MAX_TOOLS = 64;
/** A Hello has at most 16 KB. */
const MAX_DECLARED_BYTES = 12 * 1024;

/** What the Hello says of tools. Throws "invalid_argument" when that is more than it can hold. */
export function declarationsOf(tools: readonly Tool[]): wire.ToolDeclaration[] {
  const policies = wire.ToolInterruptionPolicy;
  const declared = tools.map(({ name, description, parameters, timeoutMs, onInterruption }) =>
    wire.create(wire.ToolDeclarationSchema, {
      name,
      description,
      parametersJson: dumpJson(parameters),
      timeoutMs: timeoutMs ?? 0,
      onInterruption:
        policies[(onInterruption ?? "cancel").toUpperCase() as "CANCEL" | "FINISH" | "ASK"],
    }),
  );
  const bytes = declared.reduce(
    (sum, one) => sum + utf8Length(one.name + one.description + one.parametersJson) + 16,
    0,
  );
  if (declared.length > MAX_TOOLS || bytes > MAX_DECLARED_BYTES) {
    const reason = `a client has at most ${MAX_TOOLS} tools in ${MAX_DECLARED_BYTES} bytes`;
    throw makeError("invalid_argument", reason);
  }
  return declared;
}
