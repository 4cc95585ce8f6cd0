"use client";

import type { Feature } from "@voxwire/client";
import { useVoxwire } from "../context.js";
import { useReadable } from "../use-readable.js";

/** What the other end of the session can do, to hide what it cannot; empty without a session. */
export function useFeatures(): ReadonlySet<Feature> {
  return useReadable(useVoxwire().features);
}
