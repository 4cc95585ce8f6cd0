"use client";

import type { Conversation } from "@voxwire/client";
import { useVoxwire } from "../context.js";
import { useReadable } from "../use-readable.js";

/** The turn log as the server tells it: turns, utterances with their words, tool calls. */
export function useConversation(): Conversation {
  return useReadable(useVoxwire().conversation);
}
