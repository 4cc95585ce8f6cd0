"use client";

import type { Levels } from "@voxwire/client";
import { type ComponentProps, type ReactNode, useRef } from "react";
import { useVoxwire } from "../context.js";
import { useCanvas } from "../use-canvas.js";
import { useReadable } from "../use-readable.js";
import { drawBars } from "../visual/bars.js";
import { LevelMeter } from "../visual/level-meter.js";
import { drawOrb } from "../visual/orb.js";

export interface VisualizerProps extends Omit<ComponentProps<"canvas">, "children"> {
  readonly variant?: "bar" | "orb" | undefined;
  /** Whose sound; default the bot's. The orb breathes with both. */
  readonly side?: keyof Levels | undefined;
}

/**
 * Sound to look at, on a canvas in the CSS `color` of the element. `data-state` is what the bot is
 * doing. With `prefers-reduced-motion` it changes in size only, a few times a second.
 */
export function Visualizer({
  variant = "bar",
  side = "bot",
  ...props
}: VisualizerProps): ReactNode {
  const client = useVoxwire();
  const { bot: state, userSpeaking } = useReadable(client.activity);
  const meter = useRef<LevelMeter>(undefined);
  const ref = useCanvas((frame) => {
    meter.current ??= new LevelMeter();
    meter.current.take(client.levels(), frame.stepMs);
    if (variant === "orb") drawOrb(frame, meter.current.smooth, state);
    else drawBars(frame, meter.current.historyOf(side));
  });
  return (
    // biome-ignore lint/a11y/noAriaHiddenOnFocusable: a canvas takes no focus
    <canvas
      ref={ref}
      aria-hidden="true"
      data-state={state}
      data-user={userSpeaking ? "speaking" : "silent"}
      {...props}
    />
  );
}
