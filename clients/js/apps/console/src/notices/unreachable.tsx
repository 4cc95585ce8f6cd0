import { type ReactNode, useEffect, useState } from "react";

/** Why a WebSocket cannot be opened is hidden from a page; whether the server answers is not. */
export function Unreachable(): ReactNode {
  const [runs, setRuns] = useState<boolean>();
  useEffect(() => {
    const end = new AbortController();
    fetch("/healthz", { signal: end.signal, cache: "no-store" })
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
  return (
    <>
      The server answers, but takes no session from this page. Behind another address it must know
      it: <code>{`VOXWIRE_ALLOWED_ORIGINS=${location.origin}`}</code>
    </>
  );
}
