"use client";

import type { Quality } from "@voxwire/client";
import { useVoxwire } from "../context.js";
import { useReadable } from "../use-readable.js";

/** Transport, round trip, loss and playout buffer, once a second; undefined without a session. */
export function useQuality(): Quality | undefined {
  return useReadable(useVoxwire().quality);
}
