"use client";

import { type ComponentProps, type ReactNode, useState } from "react";
import { useVoxwire } from "../context.js";
import { useVoxwireEvent } from "../hooks/use-voxwire-event.js";

/** A button that is there only while the browser keeps the page silent; a click lets sound out. */
export function StartAudio({ children, onClick, ...props }: ComponentProps<"button">): ReactNode {
  const client = useVoxwire();
  const [blocked, setBlocked] = useState(false);
  useVoxwireEvent("playbackBlocked", (event) => setBlocked(event.blocked));
  if (!blocked) return null;
  return (
    <button
      type="button"
      {...props}
      onClick={(event) => {
        onClick?.(event);
        client.resumeAudio().catch(() => undefined); // the button stays
      }}
    >
      {children ?? "Play the bot's voice"}
    </button>
  );
}
