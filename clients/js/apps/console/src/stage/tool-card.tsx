import type { LoggedToolCall } from "@voxwire/client";
import type { ReactNode } from "react";
import { CheckIcon, CrossIcon, ToolIcon } from "../icons.js";
import { asJson } from "../state/describe-event.js";

const STATUS = {
  running: "running",
  done: "done",
  failed: "failed",
  cancelled: "cancelled",
  timed_out: "timed out",
  lost: "lost",
} as const;

/** A tool call: what was asked, how it went, what came back. */
export function ToolCard({ call }: { readonly call: LoggedToolCall }): ReactNode {
  const { args, result } = call;
  return (
    <details className="tool" data-testid="tool-card" data-status={call.status}>
      <summary>
        <ToolIcon />
        <code className="tool-name">{call.name}</code>
        <span className="tool-args">{brief(args)}</span>
        <span className="tool-status">
          <StatusMark status={call.status} />
          {call.progress && call.status === "running" ? call.progress : STATUS[call.status]}
          {call.durationMs !== undefined && ` · ${Math.round(call.durationMs)} ms`}
        </span>
      </summary>
      <dl className="tool-detail">
        <dt>Arguments</dt>
        <dd>{args === undefined ? "not shown by the server" : <pre>{asJson(args)}</pre>}</dd>
        <dt>Result</dt>
        <dd>{result === undefined ? outcome(call) : <pre>{asJson(result)}</pre>}</dd>
      </dl>
    </details>
  );
}

function StatusMark({ status }: { readonly status: LoggedToolCall["status"] }): ReactNode {
  if (status === "running") return <span className="spinner" aria-hidden="true" />;
  return status === "done" ? <CheckIcon /> : <CrossIcon />;
}

const outcome = (call: LoggedToolCall) =>
  call.status === "running" ? "not there yet" : "not shown by the server";

/** The values of the arguments, as a person would say them. */
function brief(args: LoggedToolCall["args"]): string {
  if (typeof args !== "object" || args === null || Array.isArray(args)) return "";
  return Object.values(args)
    .filter((value) => typeof value !== "object")
    .map(String)
    .join(", ");
}
