import { useEffect, useState } from "react";
import { serverPath } from "../settings.js";

/** Names of the server's bots, where it has several and tells them without a token. */
export function useBots(): readonly string[] {
  const [bots, setBots] = useState<readonly string[]>([]);
  useEffect(() => {
    const end = new AbortController();
    fetch(`${serverPath()}v1/session`, { method: "POST", cache: "no-store", signal: end.signal })
      .then((answer) => (answer.ok ? answer.json() : undefined))
      .then((said: { readonly bots?: readonly string[] } | undefined) => {
        if (said?.bots !== undefined && said.bots.length > 1) setBots(said.bots);
      })
      .catch(() => {}); // `connect()` says what is wrong
    return () => end.abort();
  }, []);
  return bots;
}
