import { useConversation } from "@voxwire/react";
import type { ReactNode } from "react";
import { SaveIcon } from "../icons.js";
import { useRecorder, useStore } from "../state/use-recorder.js";
import { MAX_RECORDED_S } from "../state/voice-recording.js";
import { asSavedJson, asText, fileName } from "./formats.js";

/** A download has read what it saves by then. */
const REVOKE_MS = 1000;

/** Keeps a file where the browser keeps downloads. */
function save(content: Blob, name: string): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), REVOKE_MS);
}

/** The conversation that is over as a file: to read, for programs, to hear. */
export function SaveButtons(): ReactNode {
  const recorder = useRecorder();
  const facts = useStore(recorder.session);
  const { turns } = useConversation();
  if (facts === undefined || turns.length === 0) return null;
  const { voices } = recorder;
  const keep = (content: Blob, ending: string) => save(content, fileName(facts, ending));
  const text = () => new Blob([asText(turns, facts)], { type: "text/plain;charset=utf-8" });
  const json = () => new Blob([asSavedJson(turns, facts)], { type: "application/json" });
  const limit = `both voices, the last ${MAX_RECORDED_S / 60} minutes`;
  return (
    <fieldset className="save">
      <legend>
        <SaveIcon />
        Save
      </legend>
      <button type="button" data-testid="save-text" onClick={() => keep(text(), "txt")}>
        Text
      </button>
      <button type="button" data-testid="save-json" onClick={() => keep(json(), "json")}>
        JSON
      </button>
      {recorder.voices.lengthS > 0 && (
        <button
          type="button"
          data-testid="save-wav"
          title={`The sound: ${limit}; you on the left, the bot on the right`}
          onClick={() => keep(voices.wav(), "wav")}
        >
          {`WAV ${clock(voices.lengthS)}`}
        </button>
      )}
    </fieldset>
  );
}

const clock = (seconds: number) =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
