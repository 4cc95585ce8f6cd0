import { useConnection, useConversation } from "@voxwire/react";
import type { ReactNode } from "react";
import { useStickToEnd } from "../state/use-stick-to-end.js";
import { Announcer } from "./announcer.js";
import { TurnView } from "./turn.js";

/** The conversation, the newest at the bottom; follows it unless the reader scrolled up. */
export function Transcript(): ReactNode {
  const { turns } = useConversation();
  const { status } = useConnection();
  const box = useStickToEnd<HTMLElement>();
  return (
    <>
      <section
        className="transcript"
        data-testid="captions"
        {...box}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
        tabIndex={0}
        aria-label="Captions"
      >
        <div className="turns">
          {turns.map((turn, index) => (
            <TurnView key={turn.id} turn={turn} current={index >= turns.length - 2} />
          ))}
          {turns.length === 0 && status.status === "ready" && (
            <p className="hint">Say something, type, or take one of the phrases below.</p>
          )}
        </div>
      </section>
      <Announcer turns={turns} />
    </>
  );
}
