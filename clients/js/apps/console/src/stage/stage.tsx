import { useBotState, useConnection, Visualizer } from "@voxwire/react";
import type { ReactNode } from "react";
import { stageState } from "./stage-state.js";
import { Transcript } from "./transcript.js";
import { Welcome } from "./welcome.js";

/** The orb, what is going on, and what is said. */
export function Stage({ notices }: { readonly notices: ReactNode }): ReactNode {
  const { status } = useConnection();
  const activity = useBotState();
  const { key, label } = stageState(status, activity);
  return (
    <section className="stage" data-state={key} aria-label="Conversation">
      <div className="crown">
        {notices}
        <div className="orb">
          <Visualizer variant="orb" data-state={key} />
        </div>
      </div>
      <p className="state" data-testid="state" data-state={key} role="status">
        {label}
      </p>
      {key === "offline" ? <Welcome /> : <Transcript />}
    </section>
  );
}
