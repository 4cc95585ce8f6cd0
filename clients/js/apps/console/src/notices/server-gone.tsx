import { type ReactNode, useEffect, useState } from "react";
import { Notice } from "./notice.js";

/** The session could not be had back: whether the server answers now, and what to do. */
export function ServerGone({ reason }: { readonly reason: string }): ReactNode {
  const [answers, setAnswers] = useState<boolean>();
  useEffect(() => {
    const end = new AbortController();
    fetch(new URL("healthz", document.baseURI), { signal: end.signal, cache: "no-store" })
      .then((answer) => setAnswers(answer.ok))
      .catch(() => end.signal.aborted || setAnswers(false));
    return () => end.abort();
  }, []);
  const title = answers === false ? "The server does not answer" : "This session is over";
  return (
    <Notice tone="error" testId="failure" title={title}>
      {answers === undefined && <p>Looking whether the server answers now …</p>}
      {answers === false && (
        <p>
          Nothing answers at <code>{location.host}</code>. Start the server, for instance with{" "}
          <code>make run</code>, then press “Start again”: that begins a new conversation.
        </p>
      )}
      {answers && (
        <p>The server answers again, without this conversation. “Start again” begins a new one.</p>
      )}
      <p className="notice-reason">{reason}</p>
    </Notice>
  );
}
