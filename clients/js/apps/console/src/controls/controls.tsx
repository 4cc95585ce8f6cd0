import { useConnection } from "@voxwire/react";
import type { ReactNode } from "react";
import type { ControlsProps } from "../settings.js";
import { Phrases } from "./phrases.js";
import { StartPanel } from "./start-panel.js";
import { TalkBar } from "./talk-bar.js";

/** What can be done now: begin, or talk. */
export function Controls(props: ControlsProps): ReactNode {
  const { status } = useConnection();
  const up = status.status === "ready" || status.status === "reconnecting";
  if (!up) return <StartPanel {...props} />;
  return (
    <div className="controls">
      <Phrases />
      <TalkBar />
    </div>
  );
}
