import type { ReactNode } from "react";
import type { CaptionLine } from "../hooks/use-captions.js";

/** Not a `style` in the markup that a server renders: a strict policy ignores that. */
function hide(element: HTMLElement | null): void {
  if (element === null) return;
  const { style } = element;
  style.position = "absolute";
  style.width = style.height = "1px";
  style.overflow = "hidden";
  style.clipPath = "inset(50%)";
  style.whiteSpace = "nowrap";
}

/** Tells screen readers the last complete turn, politely and once. */
export function LiveText({ lines }: { readonly lines: readonly CaptionLine[] }): ReactNode {
  const line = lines.findLast((candidate) => candidate.final);
  return (
    <div role="status" aria-live="polite" ref={hide}>
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
