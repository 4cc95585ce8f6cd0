/** Why a device is not there, from what the browser throws (Media Capture and Streams §10.2). */
import { MediaError } from "@voxwire/protocol";
import type { DeviceFailure, DeviceKind } from "../api.js";

const REASONS: Readonly<Record<string, DeviceFailure>> = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "missing",
  OverconstrainedError: "missing",
  NotReadableError: "busy",
  AbortError: "busy",
};

const SENTENCES: Readonly<Record<DeviceFailure, string>> = {
  denied: "was refused by the user or the browser's settings",
  policy: "is forbidden to this page by a Permissions-Policy header",
  missing: "was not found",
  busy: "is in use by another program, or failed",
  insecure_origin: "needs a secure origin: https or localhost",
  unsupported: "is not supported here",
  lost: "was taken away",
  other: "could not be opened",
};

export function deviceFailure(error: unknown, kind: DeviceKind = "microphone"): DeviceFailure {
  const name = error instanceof Error || error instanceof DOMException ? error.name : "";
  const reason = REASONS[name] ?? "other";
  return reason === "denied" && forbidden(kind) ? "policy" : reason;
}

/** Whether the page may not even ask. Only Chromium tells. */
function forbidden(kind: DeviceKind): boolean {
  const { featurePolicy } = (globalThis.document ?? {}) as {
    readonly featurePolicy?: { allowsFeature(name: string): boolean };
  };
  return featurePolicy?.allowsFeature(kind === "screen" ? "display-capture" : kind) === false;
}

/** A frame of another origin that was not let in looks like a refusal by the user. */
function frameAdvice(kind: DeviceKind, reason: DeviceFailure): string {
  const framed = globalThis.parent !== undefined && globalThis.parent !== globalThis.self;
  if (!framed || (reason !== "denied" && reason !== "policy")) return "";
  return `, or the frame that it is in lacks allow="${kind}"`;
}

export function deviceError(kind: DeviceKind, reason: DeviceFailure, cause?: unknown): MediaError {
  const code = reason === "denied" || reason === "policy" ? "permission_denied" : "device";
  const details = cause === undefined ? {} : { cause };
  const sentence = SENTENCES[reason] + frameAdvice(kind, reason);
  return new MediaError(code, `the ${kind} ${sentence} (${reason})`, details);
}

/** The browser's devices; a page that is not secure has none. */
export function mediaDevices(kind: DeviceKind): MediaDevices {
  const devices: MediaDevices | undefined = globalThis.navigator?.mediaDevices;
  if (devices) return devices;
  throw deviceError(kind, globalThis.isSecureContext === false ? "insecure_origin" : "unsupported");
}
