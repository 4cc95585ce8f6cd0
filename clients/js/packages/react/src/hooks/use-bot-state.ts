"use client";

import type { Activity } from "@voxwire/client";
import { useVoxwire } from "../context.js";
import { useReadable } from "../use-readable.js";

/** What bot and user are doing, as the listener hears it. */
export function useBotState(): Activity {
  return useReadable(useVoxwire().activity);
}
