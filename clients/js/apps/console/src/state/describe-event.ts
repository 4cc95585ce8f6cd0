import type { LogEntry } from "./recorder.js";

/** Families of events, which the log colours and filters. */
export type Family = "session" | "user" | "bot" | "words" | "tools" | "metrics" | "errors";

export const FAMILIES: readonly Family[] = [
  "session",
  "user",
  "bot",
  "words",
  "tools",
  "metrics",
  "errors",
];

const FAMILY_OF: { readonly [type: string]: Family } = {
  stateChanged: "bot",
  userTranscript: "user",
  botResponseStarted: "bot",
  botResponseText: "bot",
  botResponseEnded: "bot",
  utteranceStarted: "words",
  utteranceWords: "words",
  utteranceEnded: "words",
  botWord: "words",
  interrupted: "bot",
  flushed: "bot",
  toolCallStarted: "tools",
  toolCallEnded: "tools",
  serviceMetrics: "metrics",
  turnMetrics: "metrics",
  quality: "metrics",
  appMessage: "tools",
  error: "errors",
  ignored: "errors",
};

/** The family of an event. */
export const familyOf = (entry: LogEntry): Family => FAMILY_OF[entry.type] ?? "session";

const TELLING = [
  "text",
  "name",
  "status",
  "state",
  "reason",
  "bot",
  "carrier",
  "outcome",
  "end",
  "totalMs",
  "responseMs",
  "mediaMs",
  "grade",
  "rttMs",
  "blocked",
  "code",
] as const;

/** What an event says, in one line. */
export function describe({ event }: LogEntry): string {
  const fields = event as unknown as Readonly<Record<string, unknown>>;
  const parts: string[] = [];
  for (const key of TELLING) {
    const value = fields[key];
    if (value === undefined || value === "" || typeof value === "object") continue;
    parts.push(key === "text" ? String(value) : `${key} ${shown(key, value)}`);
    if (parts.length === 3) break;
  }
  return parts.join(" · ");
}

const shown = (key: string, value: unknown) =>
  typeof value === "number" && key.endsWith("Ms") ? `${Math.round(value)} ms` : String(value);

/** JSON of anything an event holds. */
export const asJson = (value: unknown, indent = 2): string =>
  JSON.stringify(
    value,
    (_key, inner: unknown) => {
      if (typeof inner === "bigint") return Number(inner);
      if (inner instanceof Error) return { name: inner.name, message: inner.message };
      return inner;
    },
    indent,
  );
