import { useConnection } from "@voxwire/react";
import { type ReactNode, useEffect } from "react";
import { SaveButtons } from "../save/save-buttons.js";
import { type ControlsProps, TRANSPORTS } from "../settings.js";
import { Choice } from "./choice.js";
import { useBots } from "./use-bots.js";

const LABELS: { readonly [status: string]: string } = { closed: "Start again", closing: "Ending" };

/** The one button that begins, and what can be chosen before. */
export function StartPanel({ settings, isStale, onSettings }: ControlsProps): ReactNode {
  const { status, isBusy, connect, disconnect } = useConnection();
  const bots = useBots();
  const speaks = isSecureContext && settings.microphone;
  const first = bots.includes(settings.bot) ? undefined : bots[0];
  useEffect(() => {
    if (first !== undefined) onSettings({ ...settings, bot: first });
  }, [first, settings, onSettings]);
  const begin = () => (isStale ? onSettings(settings, true) : connect());
  return (
    <div className="controls start" data-over={status.status === "closed"}>
      <button
        type="button"
        className="start-button"
        data-testid="connect"
        onClick={isBusy ? disconnect : begin}
        disabled={status.status === "closing"}
      >
        {LABELS[status.status] ?? (isBusy ? "Cancel" : speaks ? "Start talking" : "Start typing")}
      </button>
      {bots.length > 0 && (
        <Choice
          title="Bot"
          disabled={isBusy}
          options={bots.map((value) => ({ value, name: value }))}
          value={settings.bot}
          onChange={(bot) => onSettings({ ...settings, bot })}
        />
      )}
      <Choice
        title="Transport"
        disabled={isBusy}
        options={TRANSPORTS}
        value={settings.transport}
        onChange={(value) =>
          onSettings({ ...settings, transport: value as typeof settings.transport })
        }
      />
      <p className="start-hint">
        {speaks ? "Uses your microphone. You can type as well." : "Without a microphone."}
      </p>
      {status.status === "closed" && <SaveButtons />}
    </div>
  );
}
