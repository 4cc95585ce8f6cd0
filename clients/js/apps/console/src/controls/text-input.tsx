import { useMicrophone, useVoxwire } from "@voxwire/react";
import { type FormEvent, type ReactNode, useState, useSyncExternalStore } from "react";
import { SendIcon } from "../icons.js";

/** There is room for a word, and no space bar. */
const NARROW = "(max-width: 480px)";

function useNarrow(): boolean {
  return useSyncExternalStore(
    (listener) => {
      const query = matchMedia(NARROW);
      query.addEventListener("change", listener);
      return () => query.removeEventListener("change", listener);
    },
    () => matchMedia(NARROW).matches,
  );
}

/** What is typed goes to the bot, which stops talking for it. */
export function TextInput(): ReactNode {
  const client = useVoxwire();
  const { enabled } = useMicrophone();
  const narrow = useNarrow();
  const [text, setText] = useState("");
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const sent = text.trim();
    if (sent === "") return;
    setText("");
    try {
      await client.sendText(sent, { interrupt: true });
    } catch {
      setText((typed) => typed || sent);
    }
  };
  return (
    <form className="text-input" onSubmit={submit}>
      <input
        type="text"
        data-testid="text-input"
        aria-label="Message to the bot"
        placeholder={narrow ? "Type …" : enabled ? "Type a message" : "Type, or hold Space to talk"}
        autoComplete="off"
        enterKeyHint="send"
        maxLength={2000}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <button type="submit" aria-label="Send" title="Send" disabled={text.trim() === ""}>
        <SendIcon />
      </button>
    </form>
  );
}
