/** What a model believes was heard of a story that was cut, against what a page played of it. */
import { expect } from "vitest";
import type { Stock } from "./stock.js";
import type { Story } from "./story.js";

const ASKS = "tell me a long story";
const CUTS = "thank you";
/** What of the end of the sound is looked for in the story. */
const TAIL_MS = 500;
/** No pause of the story is so long. */
const SILENT_MS = 700;

export interface Cut {
  /** Words that the page played, and words in the model's context. */
  readonly played: number;
  readonly held: number;
  readonly likeness: number;
}

interface Message {
  readonly role: string;
  readonly content?: unknown;
}

/** Words of the assistant between the request for the story and what cut it. */
function wordsHeld(context: readonly Message[]): number {
  const asked = context.findLastIndex(({ content }) => content === ASKS);
  const cut = context.findLastIndex(({ content }) => content === CUTS);
  expect(cut).toBeGreaterThan(asked);
  const said = context.slice(asked + 1, cut).filter(({ role }) => role === "assistant");
  return said
    .map(({ content }) => String(content))
    .join(" ")
    .split(/\s+/)
    .filter(Boolean).length;
}

/** The ear of a page over WebSocket begins with the first sound: until then it has heard nothing. */
const isSilent = ({ since, ms }: { readonly since: number; readonly ms: number }) =>
  window.stock.ear.length === 0 || window.stock.ear.silentFrom(since, ms) >= 0;

/** Has the bot tell its story, and cuts it when so much of it was heard in the page.
 *
 * @returns undefined when what was played cannot be found in the story. */
export async function cutStory(
  stock: Stock,
  story: Story,
  afterMs: number,
): Promise<Cut | undefined> {
  const before = await stock.run(() => window.stock.ear.length);
  await stock.until("it is silent", isSilent, { since: before, ms: SILENT_MS });
  const from = await stock.run(() => window.stock.ear.length);
  await stock.run((text) => window.stock.sendText(text), ASKS);
  await stock.until(
    "enough of the story is heard",
    ({ from, afterMs }) => {
      const { ear } = window.stock;
      const first = ear.loudFrom(from);
      return first >= 0 && ear.length - first >= (afterMs * ear.rate) / 1000;
    },
    { from, afterMs },
  );
  const cut = await stock.run(() => window.stock.ear.length);
  await stock.types(CUTS, "welcome");
  await stock.until("it is silent", isSilent, { since: cut, ms: SILENT_MS });
  const { first, last, tail, rate } = await stock.run(
    ({ from, cut, tailMs, ms }) => {
      const { ear } = window.stock;
      const silent = ear.silentFrom(cut, ms);
      const last = ear.lastLoud() < silent ? ear.lastLoud() + 1 : silent;
      const tail = ear.before(last, (tailMs * ear.rate) / 1000);
      return { first: ear.loudFrom(from), last, tail, rate: ear.rate };
    },
    { from, cut, tailMs: TAIL_MS, ms: SILENT_MS },
  );
  const found = story.find(tail, ((last - first) * 1000) / rate);
  const context = (await stock.run(() => window.stock.request("context"))) as Message[];
  if (!found) return undefined;
  const { endMs, likeness } = found;
  return { played: story.wordsBy(endMs), held: wordsHeld(context), likeness };
}

/** How far a model was off, in words. */
export interface Errors {
  readonly text: string;
  readonly worst: number;
}

export function errorsOf(cuts: readonly Cut[]): Errors {
  const errors = cuts.map(({ played, held }) => held - played);
  const worst = Math.max(...errors.map(Math.abs));
  const signed = errors.map((error) => (error > 0 ? `+${error}` : `${error}`)).join(" ");
  const played = cuts.map(({ played }) => played).join(" ");
  const likeness = Math.min(...cuts.map(({ likeness }) => likeness)).toFixed(2);
  return { worst, text: `${signed} (played ${played}; likeness ${likeness} at least)` };
}
