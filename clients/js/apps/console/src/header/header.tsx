import { useVoxwireEvent } from "@voxwire/react";
import { type ReactNode, useState } from "react";
import { QualityFacts } from "./quality-facts.js";
import { ThemeToggle } from "./theme-toggle.js";

/** Name of the bot, how the connection is, theme. */
export function Header(): ReactNode {
  const [bot, setBot] = useState("");
  useVoxwireEvent("sessionStarted", (event) => setBot(event.bot));
  return (
    <header className="header">
      <h1 className="brand">
        <svg className="brand-mark" viewBox="0 0 32 32" aria-hidden="true">
          <path d="M8 14v4M13 10v12M18 7v18M23 12v8" />
        </svg>
        <span className="brand-name">Voxwire</span>
        {bot !== "" && <span className="brand-bot">{bot}</span>}
      </h1>
      <QualityFacts />
      <ThemeToggle />
    </header>
  );
}
