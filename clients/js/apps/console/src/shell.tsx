import { type ReactNode, useState } from "react";
import { Controls } from "./controls/controls.js";
import { Header } from "./header/header.js";
import { Notices } from "./notices/notices.js";
import { EventLog } from "./panels/event-log.js";
import { Timeline } from "./panels/timeline.js";
import { Waterfall } from "./panels/waterfall.js";
import type { Settings } from "./settings.js";
import { Stage } from "./stage/stage.js";

const VIEWS = [
  { key: "talk", name: "Conversation" },
  { key: "latency", name: "Latency" },
  { key: "timeline", name: "Timeline" },
  { key: "events", name: "Events" },
] as const;

export interface ShellProps {
  readonly settings: Settings;
  /** The settings are others than those of the session that is over. */
  readonly isStale: boolean;
  /** Takes other settings; with `connect`, a session begins with them. */
  readonly onSettings: (settings: Settings, connect?: boolean) => void;
}

/** The page: header, stage, panels. On a narrow screen one view at a time. */
export function Shell({ settings, isStale, onSettings }: ShellProps): ReactNode {
  const [view, setView] = useState<(typeof VIEWS)[number]["key"]>("talk");
  return (
    <div className="shell" data-view={view}>
      <Header />
      <nav className="views" aria-label="Views">
        {VIEWS.map(({ key, name }) => (
          <button
            key={key}
            type="button"
            aria-current={view === key ? "page" : undefined}
            onClick={() => setView(key)}
          >
            {name}
          </button>
        ))}
      </nav>
      <main className="talk">
        <Stage notices={<Notices settings={settings} onSettings={onSettings} />} />
        <Controls settings={settings} isStale={isStale} onSettings={onSettings} />
      </main>
      <Waterfall />
      <EventLog />
      <Timeline />
    </div>
  );
}
