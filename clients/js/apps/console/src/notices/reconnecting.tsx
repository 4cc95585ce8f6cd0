import type { ClientStatus } from "@voxwire/client";
import { type ReactNode, useEffect, useState } from "react";
import { useRecorder, useStore } from "../state/use-recorder.js";
import { Notice } from "./notice.js";

type Props = Extract<ClientStatus, { status: "reconnecting" }>;

/** What a wire that is gone, or that nobody answers on, is called. */
const NO_ANSWER = /^(connection_lost|unreachable|timeout)$/;

/** What is wrong with the connection, what the page does about it, and until when. */
export function Reconnecting({ attempt, cause }: Props): ReactNode {
  const untilMs = useStore(useRecorder().outage.untilMs);
  const leftS = useSecondsUntil(untilMs);
  const silent = NO_ANSWER.test(cause.code) && attempt > 1;
  return (
    <Notice
      tone="warn"
      testId="reconnecting"
      title={silent ? "The server does not answer" : "Connection lost"}
      busy
    >
      <span className="outage">
        Trying again{attempt > 1 && ` (attempt ${attempt})`}
        {untilMs !== undefined && `, for another ${leftS} s`}.
      </span>{" "}
      {silent && (
        <>
          Then this conversation is over. If the server is down, start it: <code>make run</code>
        </>
      )}
    </Notice>
  );
}

/** Whole seconds that are left until a moment of the page's time. */
function useSecondsUntil(untilMs: number | undefined): number {
  const [nowMs, setNowMs] = useState(() => performance.now());
  useEffect(() => {
    if (untilMs === undefined) return;
    setNowMs(performance.now());
    const timer = setInterval(() => setNowMs(performance.now()), 1000);
    return () => clearInterval(timer);
  }, [untilMs]);
  return Math.max(0, Math.ceil(((untilMs ?? nowMs) - nowMs) / 1000));
}
