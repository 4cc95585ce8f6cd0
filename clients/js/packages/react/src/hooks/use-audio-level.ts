"use client";

import type { Levels } from "@voxwire/client";
import { useEffect, useState } from "react";
import { useVoxwire } from "../context.js";

const STEPS = 50;

/**
 * Loudness of one side, 0 … 1 in steps of 0.02, so that silence does not render.
 *
 * @param side - Whose.
 * @param intervalMs - Time between two looks, milliseconds.
 */
export function useAudioLevel(side: keyof Levels, intervalMs = 50): number {
  const client = useVoxwire();
  const [level, setLevel] = useState(0);
  useEffect(() => {
    const look = () => setLevel(Math.round(client.levels()[side] * STEPS) / STEPS);
    const timer = setInterval(look, intervalMs);
    return () => clearInterval(timer);
  }, [client, side, intervalMs]);
  return level;
}
