import { BotAudio, useBotState, useConnection, useVoxwire } from "@voxwire/react";
import { type ReactNode, useState } from "react";
import { StopIcon } from "../icons.js";
import { DeviceMenu } from "./device-menu.js";
import { MicButton } from "./mic-button.js";
import { TextInput } from "./text-input.js";
import { usePushToTalk } from "./use-push-to-talk.js";

/** Microphone, text, interrupt, devices, end. */
export function TalkBar(): ReactNode {
  const client = useVoxwire();
  const { disconnect } = useConnection();
  const { bot } = useBotState();
  const [volume, setVolume] = useState(1);
  const talking = usePushToTalk();
  const busy = bot === "speaking" || bot === "thinking";
  return (
    <div className="talk-bar">
      <BotAudio volume={volume} />
      <MicButton held={talking} />
      <TextInput />
      <button
        type="button"
        className="icon-button"
        data-testid="interrupt"
        aria-label="Interrupt the bot"
        title="Interrupt the bot"
        disabled={!busy}
        onClick={() => void client.interrupt().catch(() => undefined)}
      >
        <StopIcon />
      </button>
      <DeviceMenu volume={volume} onVolume={setVolume} />
      <button
        type="button"
        className="end"
        data-testid="disconnect"
        title="End the session"
        onClick={disconnect}
      >
        End
      </button>
    </div>
  );
}
