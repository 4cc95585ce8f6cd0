import type { Frame } from "@voxwire/react";
import { expect, test } from "vitest";
import { drawTimeline } from "./timeline-draw.js";
import { sketch } from "./timeline-sketch.js";

interface Written {
  readonly text: string;
  readonly x: number;
  readonly y: number;
}

/** A canvas that only notes what is written; letters are 7 px wide. */
function paper(): { readonly frame: Frame; readonly written: Written[] } {
  const written: Written[] = [];
  const known: Record<string, unknown> = {
    globalAlpha: 1,
    measureText: (text: string) => ({ width: text.length * 7 }),
    fillText: (text: string, x: number, y: number) => written.push({ text, x, y }),
  };
  const context = new Proxy(known, { get: (held, key) => held[String(key)] ?? (() => undefined) });
  const frame = { context, width: 1200, height: 150 } as unknown as Frame;
  return { frame, written };
}

const PALETTE = { user: "", bot: "", text: "", muted: "", line: "", flush: "", font: "" };

test("words stand on one row and never on each other", () => {
  const { frame, written } = paper();
  const data = sketch();
  drawTimeline(frame, data, PALETTE);
  const words = data.utterances[0]?.words.map(({ text }) => text) ?? [];
  const placed = written.filter(({ text }) => words.includes(text));
  expect(placed.map(({ text }) => text)).toEqual(words);
  expect(new Set(placed.map(({ y }) => y)).size).toBe(1);
  for (const [at, { x }] of placed.entries()) {
    const before = placed[at - 1];
    expect(x).toBeGreaterThanOrEqual(before ? before.x + before.text.length * 7 : 0);
  }
});

test("what was cut and never comes is not written where the next seconds are", () => {
  const { frame, written } = paper();
  const data = sketch();
  const [one] = data.utterances;
  const words = (one?.words ?? []).map((word) =>
    word.state === "heard" ? word : { ...word, state: "cut" as const },
  );
  const utterances = one ? [{ ...one, words, end: "interrupted" as const }] : [];
  drawTimeline(frame, { ...data, utterances }, PALETTE);
  const texts = written.map(({ text }) => text);
  expect(texts).toContain("until");
  expect(texts).not.toContain("something");
});
