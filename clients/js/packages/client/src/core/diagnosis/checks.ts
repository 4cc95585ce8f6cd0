/** What a diagnosis is made of. */
import type { Diagnosis } from "../../api.js";

export type Check = Diagnosis["checks"][number];
export type CheckName = Check["name"];

/** In which they are told: those of a page, then those of every client (`voxwire doctor`). */
export const ORDER: readonly CheckName[] = [
  ...(["secure_origin", "name", "tls", "server", "clock", "token", "capacity", "rtt"] as const),
  ...(["webrtc", "stun", "turn_udp", "turn_tcp", "turn_tls", "udp", "echo", "session"] as const),
  ...(["microphone", "speaker"] as const),
];

/** A check that went well. */
export function fine(name: CheckName, detail: string): Check {
  return { name, state: "ok", detail, advice: "", durationMs: 0 };
}

/** A conversation suffers from it, or does without it. */
export function warning(name: CheckName, detail: string, advice: string, code?: string): Check {
  return { ...fine(name, detail), state: "warning", advice, ...(code && { code }) };
}

/** A check that failed by itself. */
export function failed(name: CheckName, detail: string, advice: string, code: string): Check {
  return { ...fine(name, detail), state: "failed", advice, code };
}

/** A check that tells nothing. */
export function skipped(name: CheckName, detail: string): Check {
  return { ...fine(name, detail), state: "skipped" };
}

/** One that tells nothing without another. */
export function needing(name: CheckName, needs: CheckName): Check {
  return { ...skipped(name, `needs ${needs}`), needs };
}
