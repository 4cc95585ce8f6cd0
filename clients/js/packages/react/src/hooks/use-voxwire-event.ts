"use client";

import type { ClientEventMap, EventType } from "@voxwire/client";
import { useEffect } from "react";
import { useVoxwire } from "../context.js";
import { useLatest } from "../use-latest.js";

/** Calls `listener` for every event of a type; the listener of the last render is the one called. */
export function useVoxwireEvent<K extends EventType>(
  type: K,
  listener: (event: ClientEventMap[K]) => void,
): void {
  const client = useVoxwire();
  const latest = useLatest(listener);
  useEffect(() => client.on(type, (event) => latest.current(event)), [client, type, latest]);
}
