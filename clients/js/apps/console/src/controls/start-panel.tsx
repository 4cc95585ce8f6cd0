import { useConnection } from "@voxwire/react";
import { type ReactNode, useId } from "react";
import { SaveButtons } from "../save/save-buttons.js";
import { TRANSPORTS } from "../settings.js";
import type { ControlsProps } from "./controls.js";

const LABELS: { readonly [status: string]: string } = { closed: "Start again", closing: "Ending" };

/** The one button that begins, and what can be chosen before. */
export function StartPanel({ settings, onSettings }: ControlsProps): ReactNode {
  const { status, isBusy, connect, disconnect } = useConnection();
  const name = useId();
  const speaks = isSecureContext && settings.microphone;
  return (
    <div className="controls start" data-over={status.status === "closed"}>
      <button
        type="button"
        className="start-button"
        data-testid="connect"
        onClick={isBusy ? disconnect : connect}
        disabled={status.status === "closing"}
      >
        {LABELS[status.status] ?? (isBusy ? "Cancel" : speaks ? "Start talking" : "Start typing")}
      </button>
      <fieldset className="segments" disabled={isBusy}>
        <legend className="visually-hidden">Transport</legend>
        {TRANSPORTS.map((transport) => (
          <label key={transport.value}>
            <input
              type="radio"
              name={name}
              value={transport.value}
              checked={settings.transport === transport.value}
              onChange={() => onSettings({ ...settings, transport: transport.value })}
            />
            <span>{transport.name}</span>
          </label>
        ))}
      </fieldset>
      <p className="start-hint">
        {speaks ? "Uses your microphone. You can type as well." : "Without a microphone."}
      </p>
      {status.status === "closed" && <SaveButtons />}
    </div>
  );
}
