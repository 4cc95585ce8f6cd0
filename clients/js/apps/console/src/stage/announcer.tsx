import type { LoggedTurn } from "@voxwire/client";
import { captionLine } from "@voxwire/react";
import type { ReactNode } from "react";

/** Tells screen readers each turn once, when it is complete: words that light up are not read out. */
export function Announcer({ turns }: { readonly turns: readonly LoggedTurn[] }): ReactNode {
  const done = turns.map(captionLine).findLast((line) => line.final && line.text !== "");
  const heard = done?.words.filter(({ state }) => state !== "cut") ?? [];
  const said = heard.map(({ gap, text }) => gap + text).join("");
  const cut = (done?.words.length ?? 0) - heard.length;
  return (
    <div className="visually-hidden" aria-live="polite" aria-atomic="true">
      {done && `${done.role === "bot" ? "Bot" : "You"}: ${said.trim()}`}
      {cut > 0 && ` … interrupted: ${cut} ${cut === 1 ? "word" : "words"} not heard`}
    </div>
  );
}
