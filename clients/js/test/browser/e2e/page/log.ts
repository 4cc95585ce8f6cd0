/** Draws a conversation as a page should: text nodes only. */
import type { Conversation, LoggedTurn } from "../../../../packages/client/src/index.js";

export function textOf(turn: LoggedTurn): string {
  if (turn.role === "user") return turn.text;
  const said = turn.utterances.map(({ text }) => text);
  const calls = turn.toolCalls.map(({ name, args, result }) =>
    JSON.stringify([name, args, result]),
  );
  return [...said, ...calls].join(" ");
}

export function show(conversation: Conversation): void {
  const lines = conversation.turns.map((turn) => {
    const line = document.createElement("li");
    line.textContent = `${turn.role}: ${textOf(turn)}`;
    return line;
  });
  document.getElementById("log")?.replaceChildren(...lines);
}
