import { useVoxwire } from "@voxwire/react";
import type { ReactNode } from "react";
import { useRecorder, useStore } from "../state/use-recorder.js";

/** Phrases that the bot names as worth trying; a click sends one as text. */
export function Phrases(): ReactNode {
  const client = useVoxwire();
  const examples = useStore(useRecorder().examples);
  if (examples.length === 0) return null;
  const send = (text: string) => void client.sendText(text, { interrupt: true }).catch(() => null);
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
