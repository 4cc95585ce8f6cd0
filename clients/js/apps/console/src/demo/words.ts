import type { LoggedWord } from "@voxwire/client";

const GAP_MS = 40;

/** The words of a text on the media clock, as long as they take to say. */
export function spread(text: string, fromMs: number): LoggedWord[] {
  let atMs = fromMs;
  return (text.match(/[\p{L}\p{N}']+/gu) ?? []).map((word, index) => {
    const startMs = atMs;
    const endMs = startMs + 120 + word.length * 38;
    atMs = endMs + GAP_MS;
    return { index, text: word, startMs, endMs, state: "unheard" };
  });
}
