"use client";

import { joinTexts, type LoggedTurn } from "@voxwire/client";
import { useMemo } from "react";
import { type CaptionWord, captionWords } from "../caption-text.js";
import { useConversation } from "./use-conversation.js";

/** One turn, ready to be shown. */
export interface CaptionLine {
  readonly id: string;
  readonly role: "user" | "bot";
  readonly words: readonly CaptionWord[];
  /** All of it as one text. */
  readonly text: string;
  /** False while it is being said. */
  readonly final: boolean;
  readonly interrupted: boolean;
}

/**
 * The last turns as lines of words: unheard, heard (the speaker reached them), cut (never heard).
 *
 * @param turns - How many turns, at most.
 */
export function useCaptions(turns = 2): readonly CaptionLine[] {
  const conversation = useConversation();
  return useMemo(
    () =>
      conversation.turns
        .slice(-turns)
        .map(captionLine)
        .filter((line) => line.text !== ""),
    [conversation, turns],
  );
}

/** A turn of the log as a line of words. */
export function captionLine(turn: LoggedTurn): CaptionLine {
  const words = turn.role === "user" ? heardWords(turn.id, turn.text) : botWords(turn);
  return {
    id: turn.id,
    role: turn.role,
    words,
    text: words
      .map((word) => word.gap + word.text)
      .join("")
      .trim(),
    final: turn.role === "user" ? turn.final : turn.utterances.every((u) => u.end !== "speaking"),
    interrupted: turn.role === "bot" && turn.interrupted,
  };
}

function botWords(turn: LoggedTurn & { role: "bot" }): CaptionWord[] {
  return [
    heardWords(`${turn.id}:heard`, turn.heardText ?? ""),
    heardWords(`${turn.id}:cut`, turn.unheardText ?? "", "cut"),
    ...turn.utterances.map(captionWords),
  ].reduce(behind, []);
}

/** Words behind others, with a space between the two where their script has one. */
function behind(before: readonly CaptionWord[], words: readonly CaptionWord[]): CaptionWord[] {
  const [last, first] = [before.at(-1), words[0]];
  if (last === undefined || first === undefined) return [...before, ...words];
  const length = last.text.length + first.text.length;
  const gap = joinTexts(last.text, first.text).length > length ? " " : "";
  return [...before, { ...first, gap }, ...words.slice(1)];
}

function heardWords(key: string, text: string, state: CaptionWord["state"] = "heard") {
  const words = text.trim().match(/\S+/gu) ?? [];
  return words.map(
    (word, at): CaptionWord => ({ key: `${key}:${at}`, text: word, gap: " ", state }),
  );
}
