import { useConnection, useConversation } from "@voxwire/react";
import { type ReactNode, useLayoutEffect, useRef } from "react";
import { Announcer } from "./announcer.js";
import { TurnView } from "./turn.js";

const NEAR_PX = 80;

/** The conversation, the newest at the bottom; follows it unless the reader scrolled up. */
export function Transcript(): ReactNode {
  const { turns } = useConversation();
  const { status } = useConnection();
  const box = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  useLayoutEffect(() => {
    if (box.current && follows.current) box.current.scrollTop = box.current.scrollHeight;
  });
  const onScroll = () => {
    const at = box.current;
    if (at) follows.current = at.scrollHeight - at.scrollTop - at.clientHeight < NEAR_PX;
  };
  return (
    <>
      <section
        className="transcript"
        data-testid="captions"
        ref={box}
        onScroll={onScroll}
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
