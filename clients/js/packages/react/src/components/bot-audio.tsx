"use client";

import { useEffect } from "react";
import { useVoxwire } from "../context.js";

export interface BotAudioProps {
  /** 0 … 1; default 1. */
  readonly volume?: number | undefined;
  readonly muted?: boolean | undefined;
}

/** How loud the bot is. The client plays it by itself; this renders nothing. */
export function BotAudio({ volume = 1, muted = false }: BotAudioProps): null {
  const client = useVoxwire();
  const gain = muted ? 0 : volume;
  useEffect(() => client.setVolume(gain), [client, gain]);
  return null;
}
