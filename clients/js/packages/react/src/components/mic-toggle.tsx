"use client";

import type { ComponentProps, ReactNode } from "react";
import { type MicrophoneControl, useMicrophone } from "../hooks/use-microphone.js";

export interface MicToggleProps extends Omit<ComponentProps<"button">, "children"> {
  readonly children?: (ReactNode | ((microphone: MicrophoneControl) => ReactNode)) | undefined;
}

/** A button that turns the microphone on and off; `aria-pressed` says which. */
export function MicToggle({ children, onClick, ...props }: MicToggleProps): ReactNode {
  const microphone = useMicrophone();
  const shown = typeof children === "function" ? children(microphone) : children;
  return (
    <button
      type="button"
      aria-pressed={microphone.enabled}
      data-state={microphone.enabled ? "on" : "off"}
      {...props}
      onClick={(event) => {
        onClick?.(event);
        if (!event.defaultPrevented) void microphone.toggle();
      }}
    >
      {shown ?? (microphone.enabled ? "Mute" : "Unmute")}
    </button>
  );
}
