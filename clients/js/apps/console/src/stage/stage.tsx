import { useBotState, useConnection, Visualizer } from "@voxwire/react";
import type { ReactNode } from "react";
import { stageState } from "./stage-state.js";
import { Transcript } from "./transcript.js";

/** What this page is, before anything was said. */
function Welcome(): ReactNode {
  return (
    <div className="welcome">
      <h2>Talk to your bot</h2>
      <p>Words light up as you hear them. Interrupt whenever you like.</p>
    </div>
  );
}

/** The orb, what is going on, and what is said. */
export function Stage(): ReactNode {
  const { status } = useConnection();
  const activity = useBotState();
  const { key, label } = stageState(status, activity);
  return (
    <section className="stage" data-state={key} aria-label="Conversation">
      <div className="orb">
        <Visualizer variant="orb" data-state={key} />
      </div>
      <p className="state" data-testid="state" data-state={key} role="status">
        {label}
      </p>
      {key === "offline" ? <Welcome /> : <Transcript />}
    </section>
  );
}
