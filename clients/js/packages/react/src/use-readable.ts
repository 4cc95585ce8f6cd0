import type { Readable } from "@voxwire/client";
import { useCallback, useSyncExternalStore } from "react";

/** What a `Readable` holds; renders again when that changes. */
export function useReadable<T>(readable: Readable<T>): T {
  const subscribe = useCallback((changed: () => void) => readable.subscribe(changed), [readable]);
  const get = useCallback(() => readable.get(), [readable]);
  return useSyncExternalStore(subscribe, get, get);
}
