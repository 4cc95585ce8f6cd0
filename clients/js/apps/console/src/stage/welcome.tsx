import { useConnection } from "@voxwire/react";
import type { ReactNode } from "react";
import { Phrases } from "../controls/phrases.js";

/** What this page is, before anything was said: how to begin, and what will be seen. */
export function Welcome(): ReactNode {
  const { isBusy } = useConnection();
  return (
    <div className="welcome">
      <h2>Talk to your bot</h2>
      <ol className="steps">
        <li>
          <b>Start</b>
          Press the button and allow the microphone. Typing works without one.
        </li>
        <li>
          <b>Say something</b>
          The bot tells what it can do; “what can you do” is a good question.
        </li>
        <li>
          <b>Interrupt</b>
          Words light up as you hear them. What you cut off is struck through.
        </li>
      </ol>
      {!isBusy && <Phrases />}
    </div>
  );
}
