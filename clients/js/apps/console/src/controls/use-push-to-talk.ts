import { useMicrophone } from "@voxwire/react";
import { useEffect, useState } from "react";

const USES_SPACE = "input, textarea, select, button, summary, a, [contenteditable]";

/** Opens the microphone while the space bar is held, wherever nothing else wants a space. */
export function usePushToTalk(): boolean {
  const { hold } = useMicrophone();
  const [held, setHeld] = useState(false);
  useEffect(() => {
    let release: (() => void) | undefined;
    const down = (event: KeyboardEvent) => {
      const elsewhere = event.target instanceof Element && event.target.closest(USES_SPACE);
      if (event.code !== "Space" || elsewhere || event.ctrlKey || event.metaKey || event.altKey)
        return;
      event.preventDefault();
      if (release !== undefined || event.repeat) return;
      release = hold();
      setHeld(true);
    };
    const up = (event?: KeyboardEvent) => {
      if (event !== undefined && event.code !== "Space") return;
      release?.();
      release = undefined;
      setHeld(false);
    };
    const lost = () => up();
    addEventListener("keydown", down);
    addEventListener("keyup", up);
    addEventListener("blur", lost);
    return () => {
      release?.();
      removeEventListener("keydown", down);
      removeEventListener("keyup", up);
      removeEventListener("blur", lost);
    };
  }, [hold]);
  return held;
}
