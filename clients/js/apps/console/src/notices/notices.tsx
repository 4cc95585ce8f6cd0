import { useConnection, useConversation } from "@voxwire/react";
import type { ReactNode } from "react";
import type { SettingsProps } from "../settings.js";
import { ConnectionFailure } from "./connection-failure.js";
import { MicrophoneTrouble } from "./microphone-trouble.js";
import { Notice } from "./notice.js";
import { PlaybackBlocked } from "./playback-blocked.js";
import { Reconnecting } from "./reconnecting.js";

/** What is wrong and what to do about it; takes its room from the orb beside it, so that nothing
 * else moves. */
export function Notices(props: SettingsProps): ReactNode {
  const { status } = useConnection();
  const { skipped } = useConversation();
  return (
    <div className="notices">
      {status.status === "reconnecting" && <Reconnecting {...status} />}
      <PlaybackBlocked />
      <MicrophoneTrouble {...props} />
      <ConnectionFailure {...props} />
      {skipped > 0 && status.status === "ready" && (
        <Notice tone="info" title="Restored">
          Some events were lost on the way; the conversation is as the server has it.
        </Notice>
      )}
    </div>
  );
}
