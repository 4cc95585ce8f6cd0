/** One utterance in the turn log: its words, and which of them were heard. Pure. */
import type { BotWord, UtteranceEnded, UtteranceWords } from "@voxwire/protocol";
import type { LoggedUtterance, LoggedWord } from "../api.js";

/** Puts a piece of the text at its place, counted in code points; what is missing is blank. */
function placed(text: string, offset: number, piece: string): string {
  const points = [...text];
  const before = points
    .slice(0, offset)
    .join("")
    .padEnd(offset - points.length + text.length);
  return before + piece + points.slice(offset + [...piece].length).join("");
}

/** Adds words that are known now; a word that was heard stays as it is. A word that lies outside
 * the piece of text in the event is a piece of what came before. */
export function withWords(utterance: LoggedUtterance, event: UtteranceWords): LoggedUtterance {
  const words = [...utterance.words];
  const whole = placed(utterance.text, event.textOffset, event.text);
  const points = [...whole];
  const end = event.textOffset + [...event.text].length;
  for (const { index, text: piece, charStart, charEnd, startMs, endMs } of event.words) {
    const within = event.textOffset <= charStart && charStart < end;
    const text = within ? piece : points.slice(charStart, charEnd).join("");
    const before = words.findIndex((word) => word.index >= index);
    const at = before < 0 ? words.length : before;
    const known = words[at]?.index === index ? words[at] : undefined;
    if (known && known.state !== "unheard") continue;
    words.splice(at, known ? 1 : 0, { index, text, startMs, endMs, state: "unheard" });
  }
  return { ...utterance, words, text: whole };
}

/** The own speaker reached a word. */
export function withHeard(utterance: LoggedUtterance, { index }: BotWord): LoggedUtterance {
  return marked(utterance, (word) =>
    word.index === index && word.state === "unheard" ? "heard" : word.state,
  );
}

/** How the utterance ended is the server's word, whatever this speaker thought. */
export function ended(utterance: LoggedUtterance, event: UtteranceEnded): LoggedUtterance {
  if (event.end === "completed") {
    return { ...marked(utterance, () => "heard"), end: "completed" };
  }
  const heard = (word: LoggedWord) => (word.index < event.heardWords ? "heard" : "cut");
  return { ...marked(utterance, heard), end: event.heardWords ? "interrupted" : "unheard" };
}

/** The session is over: what was not heard by now never is. */
export function cutShort(utterance: LoggedUtterance): LoggedUtterance {
  if (utterance.end !== "speaking") return utterance;
  const heard = utterance.words.some((word) => word.state === "heard");
  const left = marked(utterance, (word) => (word.state === "unheard" ? "cut" : word.state));
  return { ...left, end: heard ? "interrupted" : "unheard" };
}

function marked(
  utterance: LoggedUtterance,
  state: (word: LoggedWord) => LoggedWord["state"],
): LoggedUtterance {
  let changed = false;
  const words = utterance.words.map((word) => {
    const next = state(word);
    if (next === word.state) return word;
    changed = true;
    return { ...word, state: next };
  });
  return changed ? { ...utterance, words } : utterance;
}
