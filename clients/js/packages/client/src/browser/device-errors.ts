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
  denied: "was refused: the user or the browser's settings do not allow it",
  missing: "was not found",
  busy: "is in use by another program, or failed",
  insecure_origin: "needs a secure origin: serve the page over https or from localhost",
  unsupported: "is not supported here",
  lost: "was taken away",
  other: "could not be opened",
};

export function deviceFailure(error: unknown): DeviceFailure {
  const name = error instanceof Error || error instanceof DOMException ? error.name : "";
  return REASONS[name] ?? "other";
}

export function deviceError(kind: DeviceKind, reason: DeviceFailure, cause?: unknown): MediaError {
  const code = reason === "denied" ? "permission_denied" : "device";
  const details = cause === undefined ? {} : { cause };
  return new MediaError(code, `the ${kind} ${SENTENCES[reason]} (${reason})`, details);
}

/** The browser's devices; a page that is not secure has none. */
export function mediaDevices(kind: DeviceKind): MediaDevices {
  const devices: MediaDevices | undefined = globalThis.navigator?.mediaDevices;
  if (devices) return devices;
  throw deviceError(kind, globalThis.isSecureContext === false ? "insecure_origin" : "unsupported");
}
