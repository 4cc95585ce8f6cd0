import { useConnection } from "@voxwire/react";
import type { ReactNode } from "react";
import { QualityFacts } from "./quality-facts.js";
import { ThemeToggle } from "./theme-toggle.js";

/** Name of the bot, how the connection is, theme. */
export function Header(): ReactNode {
  const { status } = useConnection();
  return (
    <header className="header">
      <h1 className="brand">
        <svg className="brand-mark" viewBox="0 0 32 32" aria-hidden="true">
          <path d="M8 14v4M13 10v12M18 7v18M23 12v8" />
        </svg>
        <span className="brand-name">Voxwire</span>
        {status.status === "ready" && <span className="brand-bot">{status.bot}</span>}
      </h1>
      <QualityFacts />
      <ThemeToggle />
    </header>
  );
}
