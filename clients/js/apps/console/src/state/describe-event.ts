import type { ClientEventMap, DevicesState } from "@voxwire/client";
import type { ServiceMetrics } from "@voxwire/protocol";
import type { LogEntry } from "./log-entry.js";

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
  "stage",
  "state",
  "attempt",
  "reason",
  "bot",
  "user",
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
export function describe({ type, event }: LogEntry): string {
  const fields = event as unknown as Readonly<Record<string, unknown>>;
  const said = SAID[type]?.(fields);
  if (said) return said;
  const parts: string[] = [];
  for (const key of TELLING) {
    const value = fields[key];
    if (value === undefined || value === "" || typeof value === "object") continue;
    parts.push(key === "text" ? String(value) : `${key} ${shown(key, value)}`);
    if (parts.length === 3) break;
  }
  return parts.join(" · ") || anything(fields);
}

/** Events that no single field tells. */
const SAID: { readonly [type: string]: (fields: Readonly<Record<string, unknown>>) => string } = {
  devices: (kinds) =>
    Object.entries(kinds as unknown as DevicesState)
      .filter(([, { state }]) => state !== "uninitialized")
      .map(([kind, { state, enabled, reason }]) =>
        [kind, reason ?? state, state === "granted" && !enabled && "off"].filter(Boolean).join(" "),
      )
      .join(" · ") || "none asked for yet",
  serviceMetrics: ({ metrics }) =>
    (metrics as ServiceMetrics["metrics"])
      .map(({ kind, value }) => `${kind} ${Math.round(value)}`)
      .join(" · "),
  stateChanged: ({ bot, user }) => `bot ${bot} · user ${user}`,
};

/** The first things that an event holds, where nothing of it is telling. */
function anything(fields: Readonly<Record<string, unknown>>): string {
  const held = Object.entries(fields).filter(([, value]) => value !== "" && value !== undefined);
  const plain = held.filter(([, value]) => typeof value !== "object");
  if (plain.length > 0)
    return plain
      .slice(0, 3)
      .map(([key, value]) => `${key} ${shown(key, value)}`)
      .join(" · ");
  return held.length > 0 ? asJson(Object.fromEntries(held), 0).slice(0, 120) : "no details";
}

/** True of an event that says nothing new: what the client is doing is told as `status`, and again
 * by the connection; a list of devices may be told unchanged. */
export function repeats(entry: LogEntry, before: readonly LogEntry[]): boolean {
  const { type, event } = entry;
  if (type === "connectionChanged") {
    const status = before.findLast((one) => one.type === "status")?.event;
    const { state, attempt } = event as ClientEventMap["connectionChanged"];
    const told = status as ClientEventMap["status"] | undefined;
    return told?.status === "reconnecting" && told.status === state && told.attempt === attempt;
  }
  const last = before.at(-1);
  return last?.type === type && UNCHANGED.has(type) && asJson(last.event) === asJson(event);
}

const UNCHANGED: ReadonlySet<string> = new Set(["devices", "status", "stateChanged"]);

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
