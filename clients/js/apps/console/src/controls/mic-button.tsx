import { MicToggle, useAudioLevel } from "@voxwire/react";
import { type CSSProperties, type ReactNode, useId } from "react";
import { MicIcon, MicOffIcon } from "../icons.js";

/** Microphone on and off; its ring shows how loud you are. */
export function MicButton({ held }: { readonly held: boolean }): ReactNode {
  const level = useAudioLevel("microphone");
  const hint = useId();
  const style = { "--level": Math.sqrt(level).toFixed(2) } as CSSProperties;
  return (
    <>
      <MicToggle
        className="mic"
        data-testid="mic"
        data-held={held}
        style={style}
        aria-label="Microphone"
        aria-describedby={hint}
        title="Microphone (hold Space to talk while it is off)"
      >
        {({ enabled }) => (enabled ? <MicIcon /> : <MicOffIcon />)}
      </MicToggle>
      <span id={hint} className="visually-hidden">
        While it is off, hold the space bar to talk.
      </span>
    </>
  );
}
