import type { Readable } from "@voxwire/client";
import { useVoxwire } from "@voxwire/react";
import {
  createContext,
  type ReactNode,
  useContext,
  useEffect,
  useMemo,
  useSyncExternalStore,
} from "react";
import { Recorder } from "./recorder.js";

const RecorderContext = createContext<Recorder | undefined>(undefined);

/** Records the client of the provider above it. */
export function Recording({ children }: { readonly children: ReactNode }): ReactNode {
  const client = useVoxwire();
  const recorder = useMemo(() => new Recorder(client), [client]);
  useEffect(() => recorder.start(), [recorder]);
  return <RecorderContext value={recorder}>{children}</RecorderContext>;
}

/** The recorder of this page. */
export function useRecorder(): Recorder {
  const recorder = useContext(RecorderContext);
  if (recorder === undefined) throw new Error("useRecorder: there is no <Recording> above");
  return recorder;
}

/** What a store of the recorder holds. */
export function useStore<T>(store: Readable<T>): T {
  return useSyncExternalStore(store.subscribe, store.get, store.get);
}
