import { DeviceSelect, useDevices } from "@voxwire/react";
import { type ReactNode, useId, useState } from "react";
import { SettingsIcon } from "../icons.js";
import { useDismiss } from "./use-dismiss.js";

export interface DeviceMenuProps {
  /** 0 … 1. */
  readonly volume: number;
  readonly onVolume: (volume: number) => void;
}

const KINDS = [
  { kind: "microphone", name: "Microphone" },
  { kind: "speaker", name: "Speaker" },
] as const;

/** Microphone, speaker, volume. */
export function DeviceMenu({ volume, onVolume }: DeviceMenuProps): ReactNode {
  const [open, setOpen] = useState(false);
  const [failure, setFailure] = useState("");
  const { refresh } = useDevices();
  const menu = useId();
  const ref = useDismiss(open, () => setOpen(false));
  const failed = (error: unknown) => setFailure(error instanceof Error ? error.message : "failed");
  const toggle = () => {
    setOpen(!open);
    setFailure("");
    if (!open) void refresh().catch(() => undefined);
  };
  return (
    <div className="device-menu" ref={ref}>
      <button
        type="button"
        className="icon-button"
        data-testid="devices"
        aria-label="Devices and volume"
        title="Devices and volume"
        aria-expanded={open}
        aria-controls={menu}
        onClick={toggle}
      >
        <SettingsIcon />
      </button>
      <fieldset id={menu} className="menu" hidden={!open}>
        <legend className="visually-hidden">Devices and volume</legend>
        {KINDS.map(({ kind, name }) => (
          <div key={kind}>
            <label htmlFor={`${menu}-${kind}`}>{name}</label>
            <DeviceSelect
              id={`${menu}-${kind}`}
              kind={kind}
              data-testid={`device-${kind}`}
              onFailure={failed}
            />
          </div>
        ))}
        <div>
          <label htmlFor={`${menu}-volume`}>Volume</label>
          <input
            id={`${menu}-volume`}
            type="range"
            min="0"
            max="1"
            step="0.05"
            data-testid="volume"
            value={volume}
            onChange={(event) => onVolume(event.target.valueAsNumber)}
          />
        </div>
        {failure !== "" && <p role="alert">{failure}</p>}
      </fieldset>
    </div>
  );
}
