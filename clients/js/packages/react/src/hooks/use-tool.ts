"use client";

import type { Tool, ToolCall } from "@voxwire/client";
import { useEffect } from "react";
import { useVoxwire } from "../context.js";
import { useLatest } from "../use-latest.js";

/**
 * Lets the bot use a function of this component while it is mounted. It is offered at the next
 * connect; `run` is the one of the last render, so it sees the state as it is.
 */
export function useTool(tool: Tool): void {
  const client = useVoxwire();
  const latest = useLatest(tool);
  const { name, description, timeoutMs, onInterruption } = tool;
  const parameters = JSON.stringify(tool.parameters);
  useEffect(() => {
    const offered: Tool = {
      name,
      description,
      parameters: JSON.parse(parameters),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(onInterruption === undefined ? {} : { onInterruption }),
      ...(latest.current.parse ? { parse: (value) => parsed(latest.current, value) } : {}),
      run: (args: never, call: ToolCall) => latest.current.run(args, call),
    };
    return client.tool(offered);
  }, [client, latest, name, description, parameters, timeoutMs, onInterruption]);
}

const parsed = async (tool: Tool, value: Parameters<NonNullable<Tool["parse"]>>[0]) =>
  tool.parse ? tool.parse(value) : value;
