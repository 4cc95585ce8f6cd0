import { StartAudio } from "@voxwire/react";
import type { ReactNode } from "react";
import { SpeakerIcon } from "../icons.js";

/** The browser keeps the page silent until a click. */
export function PlaybackBlocked(): ReactNode {
  return (
    <StartAudio className="unblock" data-testid="start-audio">
      <SpeakerIcon />
      Your browser holds the sound back. Click to hear the bot.
    </StartAudio>
  );
}
