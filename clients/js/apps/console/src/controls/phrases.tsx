import { useConnection, useVoxwire } from "@voxwire/react";
import type { ReactNode } from "react";
import { useRecorder, useStore } from "../state/use-recorder.js";

/** Phrases that the bot names as worth trying; a click sends one as text, and begins a session
 * where there is none. */
export function Phrases(): ReactNode {
  const client = useVoxwire();
  const recorder = useRecorder();
  const { status, connect } = useConnection();
  const examples = useStore(recorder.examples);
  if (examples.length === 0) return null;
  const send = (text: string) => {
    if (status.status === "ready" || status.status === "reconnecting") {
      void client.sendText(text, { interrupt: true }).catch(() => null);
      return;
    }
    recorder.sendFirst(text);
    connect();
  };
  return (
    <ul className="phrases" aria-label="Phrases to try">
      {examples.map((text) => (
        <li key={text}>
          <button type="button" data-testid="phrase" onClick={() => send(text)}>
            {text}
          </button>
        </li>
      ))}
    </ul>
  );
}
