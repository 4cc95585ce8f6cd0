import { type Frame, useCanvas, useConversation } from "@voxwire/react";
import type { ReactNode } from "react";
import { useRecorder, useStore } from "../state/use-recorder.js";
import { Panel } from "./panel.js";
import { drawTimeline, type Palette } from "./timeline-draw.js";
import { sketch } from "./timeline-sketch.js";

const PAINT_MS = 33;
/** How faint the picture is that stands for what will be there. */
const SKETCHED = 0.4;
const SKETCH = sketch();

/** Both sides of the audio as they happen, with words, flushes and tool calls. */
export function Timeline(): ReactNode {
  const recorder = useRecorder();
  const { turns } = useConversation();
  const recorded = useStore(recorder.entries).length > 0;
  const ref = useCanvas(
    (frame) => {
      if (recorder.entries.get().length === 0) {
        frame.context.globalAlpha = SKETCHED;
        drawTimeline(frame, SKETCH, paletteOf(frame));
        return;
      }
      const { marks } = recorder;
      const { samples } = recorder.trail;
      const utterances = turns
        .slice(-24)
        .flatMap((turn) => (turn.role === "bot" ? turn.utterances : []));
      drawTimeline(frame, { samples, marks, utterances }, paletteOf(frame));
    },
    { intervalMs: PAINT_MS },
  );
  return (
    <Panel className="timeline" title="Timeline" aside={<Legend />}>
      {!recorded && (
        <p className="empty">
          Both voices as they happen, each word where it is heard. Long silences are folded, so that
          the talk stays in view; an interruption is a line where the sound was flushed.
        </p>
      )}
      <canvas
        ref={ref}
        role="img"
        aria-label="Your voice above, the bot's below, with its words where they are heard"
      />
    </Panel>
  );
}

function Legend(): ReactNode {
  return (
    <ul className="legend">
      <li data-side="user">You</li>
      <li data-side="bot">Bot</li>
      <li data-side="flush">Flush</li>
    </ul>
  );
}

function paletteOf({ context }: Frame): Palette {
  const style = getComputedStyle(context.canvas);
  const read = (name: string) => style.getPropertyValue(name).trim();
  return {
    user: read("--user"),
    bot: read("--bot"),
    text: read("--text"),
    muted: read("--muted"),
    line: read("--line"),
    flush: read("--warn"),
    font: style.fontFamily,
  };
}
