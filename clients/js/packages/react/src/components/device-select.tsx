"use client";

import type { ComponentProps, ReactNode } from "react";
import { useDevices } from "../hooks/use-devices.js";

export interface DeviceSelectProps extends Omit<ComponentProps<"select">, "children" | "value"> {
  readonly kind: "microphone" | "speaker";
  /** What stands in place of the name of a device that has none, because there is no permission. */
  readonly unnamed?: ((index: number) => string) | undefined;
  /** A device could not be had. */
  readonly onFailure?: ((error: unknown) => void) | undefined;
}

/** A `<select>` of microphones or speakers; put a `<label>` around it or give an `aria-label`. */
export function DeviceSelect(props: DeviceSelectProps): ReactNode {
  const { kind, unnamed, onFailure, onChange, ...rest } = props;
  const { devices, select } = useDevices();
  const { available, selected } = devices[kind];
  const nameOf = unnamed ?? ((index: number) => `${kind} ${index + 1}`);
  return (
    <select
      disabled={available.length === 0}
      {...rest}
      value={selected?.id ?? available[0]?.id ?? ""}
      onChange={(event) => {
        onChange?.(event);
        select(kind, event.target.value).catch((error: unknown) => onFailure?.(error));
      }}
    >
      {available.length === 0 && <option value="">none found</option>}
      {available.map((device, index) => (
        <option key={device.id} value={device.id}>
          {device.label || nameOf(index)}
        </option>
      ))}
    </select>
  );
}
