import type { LoggedUtterance, LoggedWord } from "@voxwire/client";
import type { Frame } from "@voxwire/react";
import type { Mark } from "../state/recorder.js";
import type { Sample } from "../state/sample-trail.js";
import { timeOfMedia } from "./timeline-clock.js";
import { Row, TimeScale } from "./timeline-scale.js";

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

const PX_PER_MS = 0.12;
const NARROW_PX = 600;
const NARROW_PX_PER_MS = 0.09;
/** Share of the width that is already past; words that are known ahead stand to its right. */
const NOW_AT = 0.78;
const STALE_MS = 400;
const BAR_MS = 50;
/** Columns that a late timer may have missed. */
const MAX_GAP = 12;
const BAR_PX = 3;
const ROW_PX = 16;
const HEAD_PX = 16;
const WIDEST_PX = 260;

interface Scene extends TimelineData {
  readonly at: CanvasRenderingContext2D;
  readonly palette: Palette;
  readonly width: number;
  /** Middles of the two lanes, and half their height. */
  readonly userY: number;
  readonly botY: number;
  readonly reach: number;
  readonly wordsY: number;
  readonly scale: TimeScale;
  /** How strong everything is drawn, 0 … 1. */
  readonly alpha: number;
  x(timeMs: number): number;
}

/** Draws the talk of both sides with its silences folded, and what is known of the next seconds. */
export function drawTimeline(frame: Frame, data: TimelineData, palette: Palette): void {
  const { context: at, width, height } = frame;
  const lastMs = data.samples.at(-1)?.atMs;
  const pageMs = performance.now();
  if (lastMs === undefined) return;
  const scale = new TimeScale(data.samples);
  const nowMs = scale.resting || Math.abs(pageMs - lastMs) > STALE_MS ? lastMs : pageMs;
  const nowAt = scale.at(nowMs);
  const perMs = width < NARROW_PX ? NARROW_PX_PER_MS : PX_PER_MS;
  const lanes = height - HEAD_PX - ROW_PX - 10;
  const scene: Scene = {
    ...data,
    at,
    palette,
    width,
    userY: HEAD_PX + lanes * 0.24,
    botY: HEAD_PX + lanes * 0.76,
    reach: lanes * 0.21,
    wordsY: HEAD_PX + lanes + 4,
    scale,
    alpha: at.globalAlpha,
    x: (timeMs) => width * NOW_AT + (scale.at(timeMs) - nowAt) * perMs,
  };
  at.font = `11px ${palette.font}`;
  at.textBaseline = "middle";
  drawAxis(scene, lastMs);
  drawFolds(scene);
  drawBars(scene, "microphone", scene.userY, palette.user);
  drawBars(scene, "bot", scene.botY, palette.bot);
  drawMarks(scene);
  drawWords(scene);
  drawNow(scene, frame.height);
}

function drawAxis({ at, palette, width, userY, botY, samples, scale, x }: Scene, lastMs: number) {
  at.strokeStyle = palette.line;
  at.lineWidth = 1;
  for (const y of [userY, botY]) line(at, 0, y, width, y);
  const middle = (userY + botY) / 2;
  const from = Math.ceil((samples[0]?.atMs ?? lastMs) / 1000) * 1000;
  for (let ms = from; x(ms) < width; ms += 1000)
    if (x(ms) >= 0 && !scale.hides(ms)) line(at, x(ms), middle - 3, x(ms), middle + 3);
}

/** A silence that was folded: how long it was, between two slanted strokes. */
function drawFolds({ at, palette, scale, userY, botY, x }: Scene): void {
  at.fillStyle = palette.muted;
  at.strokeStyle = palette.muted;
  at.textAlign = "center";
  for (const { fromMs, toMs } of scale.folds) {
    const [left, right] = [x(fromMs), x(toMs)];
    if (right < 0) continue;
    for (const y of [userY, botY]) {
      at.clearRect(left + 2, y - 4, right - left - 4, 8);
      for (const edge of [left + 4, right - 4]) line(at, edge - 2, y + 4, edge + 2, y - 4);
    }
    at.fillText(`${Math.round((toMs - fromMs) / 1000)} s`, (left + right) / 2, userY);
  }
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
  const said = new Row();
  for (const mark of marks) {
    const left = Math.round(x(mark.atMs)) + 0.5;
    if (left < -200) continue;
    if (mark.kind === "transcript") {
      at.fillStyle = palette.muted;
      at.textAlign = "right";
      const room = Math.min(WIDEST_PX, said.roomBefore(left));
      if (room > 0) at.fillText(clipped(at, mark.text, room), left, HEAD_PX / 2);
      said.fill(left);
    } else if (mark.kind === "flush" || mark.kind === "loss") {
      at.strokeStyle = at.fillStyle = palette.flush;
      at.setLineDash([3, 3]);
      line(at, left, HEAD_PX, left, wordsY + ROW_PX);
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

/** The words at their places; what was cut is written nowhere, since it was heard nowhere. */
function drawWords(scene: Scene): void {
  const { at, utterances, samples, width, wordsY } = scene;
  at.textAlign = "left";
  const row = new Row();
  for (const word of utterances.flatMap(({ words }) => words)) {
    if (word.state === "cut") continue;
    const startMs = timeOfMedia(samples, word.startMs);
    const endMs = timeOfMedia(samples, word.endMs);
    if (startMs === undefined || endMs === undefined) continue;
    const spoken = { left: scene.x(startMs), right: scene.x(endMs) };
    if (spoken.left > width || spoken.left < -120) continue;
    const left = row.place(spoken.left, at.measureText(word.text).width);
    drawSpan(scene, word, spoken);
    if (left !== undefined) drawWord(scene, word, left, wordsY + ROW_PX / 2);
  }
}

const UNHEARD = 0.62;

function drawWord({ at, palette, alpha }: Scene, word: LoggedWord, left: number, y: number): void {
  at.globalAlpha = alpha * (word.state === "heard" ? 1 : UNHEARD);
  at.fillStyle = word.state === "heard" ? palette.text : palette.muted;
  at.fillText(word.text, left, y);
  at.globalAlpha = alpha;
}

/** Where a word that is not heard yet will be. */
function drawSpan(
  { at, palette, botY, alpha }: Scene,
  word: LoggedWord,
  { left, right }: { readonly left: number; readonly right: number },
): void {
  if (word.state === "heard") return;
  at.globalAlpha = alpha * 0.35;
  at.fillStyle = palette.bot;
  at.beginPath();
  at.roundRect(left, botY - 1.5, Math.max(2, right - left - 1.5), 3, 1.5);
  at.fill();
  at.globalAlpha = alpha;
}

function drawNow({ at, palette, width, alpha }: Scene, height: number): void {
  at.strokeStyle = palette.text;
  at.globalAlpha = alpha * 0.5;
  line(at, Math.round(width * NOW_AT) + 0.5, 0, Math.round(width * NOW_AT) + 0.5, height);
  at.globalAlpha = alpha;
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
