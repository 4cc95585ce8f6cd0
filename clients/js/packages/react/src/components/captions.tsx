"use client";

import type { ComponentProps, ReactNode } from "react";
import type { CaptionWord } from "../caption-text.js";
import { type CaptionLine, useCaptions } from "../hooks/use-captions.js";
import { LiveText } from "./live-text.js";

export interface CaptionsProps extends Omit<ComponentProps<"div">, "children"> {
  /** How many turns, at most; default 2. */
  readonly turns?: number | undefined;
  /** Draws a word; by default a span. */
  readonly word?: ((word: CaptionWord) => ReactNode) | undefined;
}

/**
 * What is being said, word by word: style `[data-state="unheard" | "heard" | "cut"]`. A screen
 * reader is told each turn once, when it is complete.
 */
export function Captions({ turns = 2, word, ...props }: CaptionsProps): ReactNode {
  const lines = useCaptions(turns);
  return (
    <div {...props}>
      {lines.map((line) => (
        <p key={line.id} data-role={line.role} data-final={line.final} dir="auto">
          <CaptionLineText line={line} word={word} />
        </p>
      ))}
      <LiveText lines={lines} />
    </div>
  );
}

/** The words of one line. */
export function CaptionLineText(props: {
  readonly line: CaptionLine;
  readonly word?: ((word: CaptionWord) => ReactNode) | undefined;
}): ReactNode {
  return props.line.words.map((word) => (
    <span key={word.key}>
      {word.gap}
      {props.word?.(word) ?? (
        <span data-testid="word" data-state={word.state}>
          {word.text}
        </span>
      )}
    </span>
  ));
}
