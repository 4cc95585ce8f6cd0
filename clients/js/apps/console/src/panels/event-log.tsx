import { memo, type ReactNode, useDeferredValue, useMemo, useState } from "react";
import { CheckIcon, CopyIcon } from "../icons.js";
import { asJson, describe, FAMILIES, type Family, familyOf } from "../state/describe-event.js";
import type { LogEntry } from "../state/log-entry.js";
import { useRecorder, useStore } from "../state/use-recorder.js";
import { useStickToEnd } from "../state/use-stick-to-end.js";
import { Panel } from "./panel.js";

/** Errors are always listed. */
const CHOSEN = FAMILIES.filter((family) => family !== "errors");
const QUIET: ReadonlySet<Family> = new Set(["metrics"]);

/** Every event, the newest last; filtered by family and by text; copied as JSON. */
export function EventLog(): ReactNode {
  const recorder = useRecorder();
  const entries = useDeferredValue(useStore(recorder.entries));
  const [hidden, setHidden] = useState(QUIET);
  const [text, setText] = useState("");
  const kept = useMemo(() => entries.filter(keeps(hidden, text)), [entries, hidden, text]);
  const box = useStickToEnd<HTMLOListElement>();
  const toggle = (family: Family) => {
    const next = new Set(hidden);
    if (!next.delete(family)) next.add(family);
    setHidden(next);
  };
  return (
    <Panel
      className="events"
      title="Events"
      testId="events"
      aside={
        <>
          <input
            type="search"
            className="filter"
            aria-label="Filter events"
            placeholder="Filter"
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
          <CopyButton entries={kept} />
        </>
      }
    >
      <fieldset className="families">
        <legend className="visually-hidden">Kinds of events</legend>
        {CHOSEN.map((family) => (
          <button
            key={family}
            type="button"
            data-family={family}
            aria-pressed={!hidden.has(family)}
            onClick={() => toggle(family)}
          >
            {family}
          </button>
        ))}
      </fieldset>
      <ol className="entries" {...box}>
        {kept.map((entry) => (
          <Entry key={entry.number} entry={entry} />
        ))}
      </ol>
      {kept.length === 0 && (
        <p className="empty">
          {entries.length === 0
            ? "What the client tells is listed here as it happens: words as they are heard, tool calls, transcripts, states, errors. Open one for all that it holds; Copy takes those shown as JSON."
            : "Nothing matches."}
        </p>
      )}
    </Panel>
  );
}

const keeps = (hidden: ReadonlySet<Family>, text: string) => (entry: LogEntry) =>
  !hidden.has(familyOf(entry)) &&
  (text === "" ||
    `${entry.type} ${asJson(entry.event, 0)}`.toLowerCase().includes(text.toLowerCase()));

const Entry = memo(function Entry({ entry }: { readonly entry: LogEntry }): ReactNode {
  const [open, setOpen] = useState(false);
  return (
    <li>
      <details
        data-family={familyOf(entry)}
        onToggle={(event) => setOpen(event.currentTarget.open)}
      >
        <summary>
          <time>{(entry.atMs / 1000).toFixed(2)}</time>
          <code>{entry.type}</code>
          <span>{describe(entry)}</span>
        </summary>
        {open && <pre>{asJson(entry.event)}</pre>}
      </details>
    </li>
  );
});

function CopyButton({ entries }: { readonly entries: readonly LogEntry[] }): ReactNode {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    const lines = entries.map(({ atMs, type, event }) => ({
      t_ms: Math.round(atMs),
      type,
      ...event,
    }));
    try {
      await navigator.clipboard.writeText(asJson(lines));
      setCopied(true);
      setTimeout(() => setCopied(false), 1500);
    } catch {
      setCopied(false);
    }
  };
  return (
    <button
      type="button"
      className="copy"
      title="Copy these events as JSON"
      disabled={entries.length === 0}
      onClick={copy}
    >
      {copied ? <CheckIcon /> : <CopyIcon />}
      {copied ? "Copied" : "Copy"}
    </button>
  );
}
