/** Functions of the page that the bot may use. */
import { type JsonValue, makeError } from "@voxwire/protocol";
import type { Tool, ToolCall } from "../api.js";

/** Thrown by a tool to tell the bot what went wrong, in words that it may speak. The message of
 * any other error stays in the page; the bot gets its name. */
export class ToolError extends Error {
  override readonly name = "ToolError";
}

/** What is used of a Standard Schema (https://standardschema.dev), zod's among them. */
export interface StandardSchema<Output = unknown> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => Checked<Output> | Promise<Checked<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
    /** Standard JSON Schema, where the library has it (zod >= 4.2). */
    readonly jsonSchema?: { input(options: { readonly target: string }): unknown } | undefined;
  };
}

type Checked<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly { readonly path?: readonly unknown[] | undefined }[] };

export interface ToolOptions {
  /** What it does, for the language model; at most 2 000 characters. */
  readonly description?: string | undefined;
  /** Longest run, milliseconds; the server's default (10 000) when absent. */
  readonly timeoutMs?: number | undefined;
  /** What an interruption of the bot does to a call; default "cancel". */
  readonly onInterruption?: "cancel" | "finish" | "ask" | undefined;
  /** JSON Schema of a Standard Schema that cannot tell it itself: `z.toJSONSchema`. */
  readonly toJSONSchema?: ((schema: never) => unknown) | undefined;
}

/** JSON Schema of the arguments, an object. */
export interface ObjectSchema {
  readonly type: "object";
  readonly [key: string]: unknown;
}

/** Makes a tool.
 *
 * @param schema - Of the arguments: JSON Schema of an object, or a Standard Schema (zod 4), whose
 *   output the function gets.
 * @param run - Gets the arguments and the call; what it returns (or resolves to) goes to the bot.
 *   Throw `ToolError` to say what went wrong. */
export function tool<Output>(
  name: string,
  schema: StandardSchema<Output>,
  run: (args: Output, call: ToolCall) => unknown,
  options?: ToolOptions,
): Tool;
export function tool<Args = Readonly<Record<string, JsonValue>>>(
  name: string,
  schema: ObjectSchema,
  run: (args: Args, call: ToolCall) => unknown,
  options?: ToolOptions,
): Tool;
export function tool(
  name: string,
  schema: StandardSchema | ObjectSchema,
  run: (args: never, call: ToolCall) => unknown,
  options: ToolOptions = {},
): Tool {
  const { description = "", timeoutMs, onInterruption, toJSONSchema } = options;
  const standard = isStandard(schema) ? schema : undefined;
  const json = standard ? jsonSchemaOf(standard, toJSONSchema) : schema;
  const { $schema: _, ...parameters } = json as { readonly [key: string]: JsonValue };
  if (parameters.type !== "object") {
    throw makeError("invalid_argument", `${name}: the schema must be of type object`);
  }
  return {
    name,
    description,
    parameters,
    run,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(onInterruption === undefined ? {} : { onInterruption }),
    ...(standard ? { parse: (value: JsonValue) => parse(standard, value) } : {}),
  };
}

function isStandard(schema: object): schema is StandardSchema {
  return "~standard" in schema;
}

function jsonSchemaOf(
  schema: StandardSchema,
  toJSONSchema: ((schema: never) => unknown) | undefined,
): object {
  if (toJSONSchema) return toJSONSchema(schema as never) as object;
  const { jsonSchema, vendor } = schema["~standard"];
  const own = (schema as { toJSONSchema?: () => unknown }).toJSONSchema;
  const json = jsonSchema?.input({ target: "draft-2020-12" }) ?? own?.call(schema);
  if (typeof json === "object" && json !== null) return json;
  throw makeError("invalid_argument", `${vendor} cannot tell its JSON Schema; pass toJSONSchema`);
}

async function parse(schema: StandardSchema, value: JsonValue): Promise<unknown> {
  const checked = await schema["~standard"].validate(value);
  if (checked.issues === undefined) return checked.value;
  const where = checked.issues.map(({ path }) => pathOf(path)).filter(Boolean);
  throw new ToolError(`the arguments do not fit${where.length ? `: ${where.join(", ")}` : ""}`);
}

/** Where something does not fit; never what stood there. */
function pathOf(path: readonly unknown[] = []): string {
  return path
    .map((part) => (typeof part === "object" && part ? (part as { key?: unknown }).key : part))
    .join(".");
}
