"use client";

import type { DeviceState } from "@voxwire/client";
import { useCallback } from "react";
import { useVoxwire } from "../context.js";
import { useReadable } from "../use-readable.js";

export interface MicrophoneControl {
  readonly enabled: boolean;
  /** Permission, device, and why there is none. */
  readonly state: DeviceState["state"];
  readonly reason: DeviceState["reason"];
  readonly setEnabled: (enabled: boolean) => Promise<void>;
  /** Fit for `onClick`; what goes wrong is in `reason`. */
  readonly toggle: () => Promise<void>;
  /** Push-to-talk: on until the returned function is called. */
  readonly hold: () => () => void;
}

/** The microphone: on, off, push-to-talk. Off means that nothing is captured. */
export function useMicrophone(): MicrophoneControl {
  const client = useVoxwire();
  const { enabled, state, reason } = useReadable(client.devices).microphone;
  const setEnabled = useCallback((on: boolean) => client.microphone.setEnabled(on), [client]);
  const hold = useCallback(() => client.microphone.hold(), [client]);
  const toggle = useCallback(
    () => client.microphone.setEnabled(!client.microphone.enabled).catch(() => undefined),
    [client],
  );
  return { enabled, state, reason, setEnabled, toggle, hold };
}
