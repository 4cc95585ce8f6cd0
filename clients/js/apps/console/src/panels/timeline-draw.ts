import type { LoggedUtterance, LoggedWord } from "@voxwire/client";
import type { Frame } from "@voxwire/react";
import type { Mark, Sample } from "../state/recorder.js";
import { timeOfMedia } from "./timeline-clock.js";

export interface TimelineData {
  readonly samples: readonly Sample[];
  readonly marks: readonly Mark[];
  readonly utterances: readonly LoggedUtterance[];
}

/** CSS colours and the font. */
export interface Palette {
  readonly user: string;
  readonly bot: string;
  readonly text: string;
  readonly muted: string;
  readonly line: string;
  readonly flush: string;
  readonly font: string;
}

const PX_PER_MS = 0.1;
/** Share of the width that is already past; words that are known ahead stand to its right. */
const NOW_AT = 0.78;
const STALE_MS = 400;
const BAR_MS = 50;
/** Columns that a late timer may have missed. */
const MAX_GAP = 12;
const BAR_PX = 3;
const ROW_PX = 16;
const ROWS = 2;
const HEAD_PX = 16;

interface Scene extends TimelineData {
  readonly at: CanvasRenderingContext2D;
  readonly palette: Palette;
  readonly width: number;
  /** Middles of the two lanes, and half their height. */
  readonly userY: number;
  readonly botY: number;
  readonly reach: number;
  readonly wordsY: number;
  x(timeMs: number): number;
}

/** Draws the last seconds of both sides, and what is known of the next ones. */
export function drawTimeline(frame: Frame, data: TimelineData, palette: Palette): void {
  const { context: at, width, height } = frame;
  const lastMs = data.samples.at(-1)?.atMs;
  const pageMs = performance.now();
  const nowMs = pageMs - (lastMs ?? 0) > STALE_MS ? (lastMs ?? 0) : pageMs;
  if (lastMs === undefined) return;
  const lanes = height - HEAD_PX - ROWS * ROW_PX - 10;
  const scene: Scene = {
    ...data,
    at,
    palette,
    width,
    userY: HEAD_PX + lanes * 0.24,
    botY: HEAD_PX + lanes * 0.76,
    reach: lanes * 0.21,
    wordsY: HEAD_PX + lanes + 4,
    x: (timeMs) => width * NOW_AT + (timeMs - nowMs) * PX_PER_MS,
  };
  at.font = `11px ${palette.font}`;
  at.textBaseline = "middle";
  drawAxis(scene, nowMs);
  drawBars(scene, "microphone", scene.userY, palette.user);
  drawBars(scene, "bot", scene.botY, palette.bot);
  drawMarks(scene);
  drawWords(scene);
  drawNow(scene, frame.height);
}

function drawAxis({ at, palette, width, userY, botY, x }: Scene, nowMs: number): void {
  at.strokeStyle = palette.line;
  at.lineWidth = 1;
  for (const y of [userY, botY]) line(at, 0, y, width, y);
  const from = Math.floor((nowMs - (width * NOW_AT) / PX_PER_MS) / 1000) * 1000;
  for (let ms = from; x(ms) < width; ms += 1000)
    line(at, x(ms), (userY + botY) / 2 - 3, x(ms), (userY + botY) / 2 + 3);
}

function drawBars(scene: Scene, side: "microphone" | "bot", y: number, color: string): void {
  const { at, samples, reach, x } = scene;
  at.fillStyle = color;
  at.beginPath();
  for (const [column, level] of columns(samples, side)) {
    const left = x(column * BAR_MS);
    if (left < -BAR_PX) continue;
    const tall = Math.max(0.75, Math.min(1, 1.6 * Math.sqrt(level)) * reach);
    at.roundRect(left, y - tall, BAR_PX, tall * 2, BAR_PX / 2);
  }
  at.fill();
}

/** Levels on a regular grid, whatever the timer did; a pause of the sampling stays one. */
function* columns(
  samples: readonly Sample[],
  side: "microphone" | "bot",
): Generator<[column: number, level: number]> {
  let last = Number.NaN;
  for (const sample of samples) {
    const column = Math.round(sample.atMs / BAR_MS);
    const from = column - last <= MAX_GAP ? last + 1 : column;
    for (let at = from; at <= column; at++) yield [at, sample[side]];
    last = column;
  }
}

function drawMarks({ at, marks, palette, userY, botY, wordsY, x }: Scene): void {
  for (const mark of marks) {
    const left = Math.round(x(mark.atMs)) + 0.5;
    if (left < -200) continue;
    if (mark.kind === "transcript") {
      at.fillStyle = palette.muted;
      at.textAlign = "right";
      at.fillText(clipped(at, mark.text, 260), left, HEAD_PX / 2);
    } else if (mark.kind === "flush" || mark.kind === "loss") {
      at.strokeStyle = at.fillStyle = palette.flush;
      at.setLineDash([3, 3]);
      line(at, left, HEAD_PX, left, wordsY + ROWS * ROW_PX);
      at.setLineDash([]);
      at.textAlign = "left";
      at.fillText(mark.text, left + 5, (userY + botY) / 2);
    } else if (mark.kind === "tool") {
      at.fillStyle = palette.text;
      at.textAlign = "left";
      at.beginPath();
      at.arc(left, (userY + botY) / 2, 3, 0, Math.PI * 2);
      at.fill();
      at.fillText(mark.text, left + 7, (userY + botY) / 2);
    }
  }
}

function drawWords(scene: Scene): void {
  const { at, utterances, samples, width, wordsY } = scene;
  at.textAlign = "left";
  // A word without room for its text is not written: positions can lie close after a cut or a loss.
  const ends = new Array<number>(ROWS).fill(Number.NEGATIVE_INFINITY);
  let row = 0;
  for (const [number, { words }] of utterances.entries()) {
    // What was cut gives way to what was said instead.
    const nextMs = utterances[number + 1]?.words[0]?.startMs ?? Number.POSITIVE_INFINITY;
    for (const word of words) {
      if (word.state === "cut" && word.endMs > nextMs) continue;
      const startMs = timeOfMedia(samples, word.startMs);
      const endMs = timeOfMedia(samples, word.endMs);
      row = (row + 1) % ROWS;
      if (startMs === undefined || endMs === undefined) continue;
      const left = scene.x(startMs);
      if (left > width || left < -120) continue;
      const free = [row, (row + 1) % ROWS].find((r) => (ends[r] ?? 0) <= left);
      if (free === undefined) continue;
      row = free;
      ends[row] = left + at.measureText(word.text).width + 4;
      drawWord(scene, word, left, scene.x(endMs), wordsY + row * ROW_PX + ROW_PX / 2);
    }
  }
}

const ALPHA = { heard: 1, unheard: 0.62, cut: 0.5 } as const;

function drawWord(
  { at, palette, botY }: Scene,
  word: LoggedWord,
  left: number,
  right: number,
  y: number,
): void {
  at.globalAlpha = ALPHA[word.state];
  at.fillStyle = word.state === "heard" ? palette.text : palette.muted;
  at.fillText(word.text, left, y);
  if (word.state === "cut") at.fillRect(left, y, at.measureText(word.text).width, 1);
  at.fillStyle = palette.bot;
  at.globalAlpha = word.state === "heard" ? 0.9 : 0.35;
  at.beginPath();
  at.roundRect(left, botY - 1.5, Math.max(2, right - left - 1.5), 3, 1.5);
  if (word.state !== "heard") at.fill();
  at.globalAlpha = 1;
}

function drawNow({ at, palette, width }: Scene, height: number): void {
  at.strokeStyle = palette.text;
  at.globalAlpha = 0.5;
  line(at, Math.round(width * NOW_AT) + 0.5, 0, Math.round(width * NOW_AT) + 0.5, height);
  at.globalAlpha = 1;
}

function line(at: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number): void {
  at.beginPath();
  at.moveTo(x0, y0);
  at.lineTo(x1, y1);
  at.stroke();
}

function clipped(at: CanvasRenderingContext2D, text: string, widest: number): string {
  let shown = text;
  while (shown.length > 4 && at.measureText(shown).width > widest) shown = shown.slice(1);
  return shown === text ? text : `…${shown}`;
}
