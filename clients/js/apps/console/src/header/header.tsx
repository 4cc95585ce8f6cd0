import type { ReactNode } from "react";
import { useRecorder, useStore } from "../state/use-recorder.js";
import { QualityFacts } from "./quality-facts.js";
import { ThemeToggle } from "./theme-toggle.js";

/** The bot that needs nothing but the server; its name is no state of the connection. */
const BUILT_IN = "offline";

/** Name of the bot, how the connection is, theme. */
export function Header(): ReactNode {
  const bot = useStore(useRecorder().session)?.bot ?? "";
  return (
    <header className="header">
      <h1 className="brand">
        <svg className="brand-mark" viewBox="0 0 32 32" aria-hidden="true">
          <path d="M8 14v4M13 10v12M18 7v18M23 12v8" />
        </svg>
        <span className="brand-name">Voxwire</span>
      </h1>
      {bot !== "" && (
        <p className="brand-bot" data-testid="bot">
          Bot: <b>{bot}</b>
          {bot === BUILT_IN && " (built in)"}
        </p>
      )}
      <QualityFacts />
      <ThemeToggle />
    </header>
  );
}
