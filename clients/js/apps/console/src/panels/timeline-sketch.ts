import type { LoggedUtterance } from "@voxwire/client";
import { SAMPLE_MS, type Sample } from "../state/sample-trail.js";
import type { TimelineData } from "./timeline-draw.js";

const WORDS = "each word stands where you hear it until you say something".split(" ");
const WORD_MS = 420;
const ASKED_MS = 1800;
const WAIT_MS = 900;
const HEARD = 8;

/** How the timeline will look, before there is anything to draw: a question and an answer. */
export function sketch(): TimelineData {
  const heardMs = HEARD * WORD_MS;
  const samples: Sample[] = [];
  for (let atMs = 0; atMs < ASKED_MS + WAIT_MS + heardMs; atMs += SAMPLE_MS) {
    const asks = atMs > 300 && atMs < ASKED_MS;
    const mediaMs = atMs - ASKED_MS - WAIT_MS;
    samples.push({
      atMs,
      mediaMs: Math.max(0, mediaMs),
      microphone: asks ? loudness(atMs) : 0,
      bot: mediaMs > 0 ? loudness(mediaMs) : 0,
      quiet: false,
    });
  }
  const words = WORDS.map((text, index) => ({
    index,
    text,
    startMs: index * WORD_MS,
    endMs: (index + 1) * WORD_MS - 60,
    state: index < HEARD ? ("heard" as const) : ("unheard" as const),
  }));
  const answer: LoggedUtterance = { id: "sketch", words, text: WORDS.join(" "), end: "speaking" };
  return {
    samples,
    marks: [
      { atMs: ASKED_MS, kind: "transcript", text: "what you said" },
      { atMs: ASKED_MS + WAIT_MS / 2, kind: "tool", text: "a tool" },
    ],
    utterances: [answer],
  };
}

/** Rises and falls as syllables do. */
const loudness = (ms: number) => 0.22 * (0.55 + 0.45 * Math.sin(ms / 90) * Math.sin(ms / 410));
