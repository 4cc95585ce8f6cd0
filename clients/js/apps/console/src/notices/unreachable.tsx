import { type ReactNode, useEffect, useState } from "react";
import { serverPath } from "../settings.js";

/** Whether the server does not run, or answers and opens no control channel. */
export function Unreachable({ error }: { readonly error: Error }): ReactNode {
  const [runs, setRuns] = useState<boolean>();
  useEffect(() => {
    const end = new AbortController();
    fetch(`${serverPath()}healthz`, { signal: end.signal, cache: "no-store" })
      .then((answer) => setRuns(answer.ok))
      .catch(() => end.signal.aborted || setRuns(false));
    return () => end.abort();
  }, []);
  if (runs === undefined) return "Looking whether the server answers …";
  if (!runs) {
    return (
      <>
        Nothing answers at <code>{location.host}</code>. Start the server with <code>make run</code>
        , then try again.
      </>
    );
  }
  return <code>{error.message}</code>;
}
