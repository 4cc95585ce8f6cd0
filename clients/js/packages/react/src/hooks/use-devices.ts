"use client";

import type { DeviceState, Devices, DevicesState } from "@voxwire/client";
import { useVoxwire } from "../context.js";
import { useReadable } from "../use-readable.js";

export interface DeviceMenu {
  readonly devices: DevicesState;
  readonly microphone: DeviceState;
  readonly speaker: DeviceState;
  /** Rejects with a MediaError when the device cannot be had. */
  readonly select: Devices["select"];
  /** Asks again what there is; labels are empty without permission. */
  readonly refresh: Devices["refresh"];
}

/** Microphones and speakers: what there is, what is used, and what is wrong. */
export function useDevices(): DeviceMenu {
  const { devices } = useVoxwire();
  const state = useReadable(devices);
  return {
    devices: state,
    microphone: state.microphone,
    speaker: state.speaker,
    select: (kind, deviceId) => devices.select(kind, deviceId),
    refresh: () => devices.refresh(),
  };
}
