"use client";

import type { DeviceState } from "@voxwire/client";
import { useCallback } from "react";
import { useVoxwire } from "../context.js";
import { useReadable } from "../use-readable.js";

export interface MicrophoneControl {
  /** Wanted: on now, or from the start of the next session; false when it cannot be had. */
  readonly enabled: boolean;
  /** It captures now. */
  readonly live: boolean;
  /** Permission, device, and why there is none. */
  readonly state: DeviceState["state"];
  readonly reason: DeviceState["reason"];
  /** What is wrong with it while it is in use: muted by the system, silent, not the chosen one. */
  readonly trouble: DeviceState["trouble"];
  readonly setEnabled: (enabled: boolean) => Promise<void>;
  /** Fit for `onClick`; what goes wrong is in `reason`. */
  readonly toggle: () => Promise<void>;
  /** Push-to-talk: on until the returned function is called. */
  readonly hold: () => () => void;
}

/** The microphone: on, off, push-to-talk. Off means that nothing is captured. */
export function useMicrophone(): MicrophoneControl {
  const client = useVoxwire();
  const { enabled: live, state, reason, trouble } = useReadable(client.devices).microphone;
  const enabled = client.microphone.enabled && state !== "error";
  const setEnabled = useCallback((on: boolean) => client.microphone.setEnabled(on), [client]);
  const hold = useCallback(() => client.microphone.hold(), [client]);
  const toggle = useCallback(
    () => client.microphone.setEnabled(!enabled).catch(() => undefined),
    [client, enabled],
  );
  return { enabled, live, state, reason, trouble, setEnabled, toggle, hold };
}
