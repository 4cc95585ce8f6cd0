import type { CSSProperties, ReactNode } from "react";
import type { CaptionLine } from "../hooks/use-captions.js";

const HIDDEN: CSSProperties = {
  position: "absolute",
  width: 1,
  height: 1,
  overflow: "hidden",
  clipPath: "inset(50%)",
  whiteSpace: "nowrap",
};

/** Tells screen readers the last complete turn, politely and once. */
export function LiveText({ lines }: { readonly lines: readonly CaptionLine[] }): ReactNode {
  const line = lines.findLast((candidate) => candidate.final);
  return (
    <div role="status" aria-live="polite" style={HIDDEN}>
      {line && `${line.role === "bot" ? "Bot" : "You"}: ${heardText(line)}`}
    </div>
  );
}

const heardText = (line: CaptionLine) =>
  line.words
    .filter((word) => word.state !== "cut")
    .map((word) => word.gap + word.text)
    .join("")
    .trim();
