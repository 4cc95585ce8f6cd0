import type { LoggedToolCall, LoggedTurn } from "@voxwire/client";
import { captionLine } from "@voxwire/react";
import { asJson } from "../state/describe-event.js";

/** Which conversation it was. */
export interface SessionFacts {
  readonly sessionId: string;
  readonly bot: string;
  readonly startedAt: Date;
}

/** A turn as words that were heard and words that never were. */
function halves(turn: LoggedTurn): { readonly heard: string; readonly unheard: string } {
  const { words } = captionLine(turn);
  const join = (kept: typeof words) => kept.map(({ gap, text }) => gap + text).join("");
  return {
    heard: join(words.filter(({ state }) => state === "heard")).trim(),
    unheard: join(words.filter(({ state }) => state !== "heard")).trim(),
  };
}

/** The conversation to read: a line for each turn, what was never heard in brackets. */
export function asText(turns: readonly LoggedTurn[], facts: SessionFacts): string {
  const lines = [`Bot: ${facts.bot}, ${facts.startedAt.toISOString()}, ${facts.sessionId}`, ""];
  for (const turn of turns) {
    if (turn.role === "user") {
      lines.push(`You: ${turn.text}`);
      continue;
    }
    for (const call of turn.toolCalls) lines.push(toolLine(call));
    const { heard, unheard } = halves(turn);
    const cut = unheard === "" ? "" : `[not heard: ${unheard}]`;
    const said = [heard, cut].filter(Boolean).join(" ");
    if (said !== "") lines.push(`Bot: ${said}`);
  }
  return `${lines.join("\n")}\n`;
}

function toolLine({ name, args, result, status }: LoggedToolCall): string {
  const asked = args === undefined ? "" : ` ${asJson(args, 0)}`;
  const answer = result === undefined ? "" : ` ${asJson(result, 0)}`;
  return `     (${name}${asked}: ${status}${answer})`;
}

/** The conversation for programs: the log as it is, with what was heard of each turn. */
export function asSavedJson(turns: readonly LoggedTurn[], facts: SessionFacts): string {
  const said = turns.map((turn) => {
    if (turn.role === "user") return turn;
    const { heard, unheard } = halves(turn);
    return { ...turn, heardText: heard, unheardText: unheard };
  });
  return `${asJson({ ...facts, turns: said })}\n`;
}

/** A file's name: the bot and when the session began. */
export function fileName({ bot, startedAt }: SessionFacts, ending: string): string {
  const name = bot.replaceAll(/[^\p{L}\p{N}._-]+/gu, "-").replaceAll(/^[.-]+/gu, "") || "bot";
  const when = startedAt.toISOString().slice(0, 19).replaceAll(/[:T]/g, "-");
  return `voxwire-${name}-${when}.${ending}`;
}
