import type { Activity, ClientStatus } from "@voxwire/client";
import type { Waiting } from "@voxwire/protocol";

/** What is going on, as one word for styles and tests, and as people say it. */
export interface StageState {
  readonly key: string;
  readonly label: string;
}

const ACTIVITY: { readonly [bot in Activity["bot"]]: string } = {
  starting: "The bot is starting",
  idle: "Your turn",
  listening: "Listening",
  thinking: "Thinking",
  speaking: "Speaking",
};

function placeOf(place: Waiting | undefined): string {
  if (!place) return "Connecting";
  const about = place.estimatedMs ? `, about ${Math.ceil(place.estimatedMs / 1000)} s` : "";
  return `Place ${place.position} in the queue${about}`;
}

/** Connection and activity as one state. */
export function stageState(status: ClientStatus, { bot, userSpeaking }: Activity): StageState {
  switch (status.status) {
    case "idle":
      return { key: "offline", label: "Not connected" };
    case "connecting":
      return { key: "connecting", label: placeOf(status.waiting) };
    case "reconnecting":
      return { key: "reconnecting", label: "Reconnecting" };
    case "closing":
      return { key: "closing", label: "Ending" };
    case "closed":
      return { key: "closed", label: status.error ? "Not connected" : "Session ended" };
    case "ready":
      if (userSpeaking) return { key: "listening", label: ACTIVITY.listening };
      return { key: bot, label: ACTIVITY[bot] };
  }
}
