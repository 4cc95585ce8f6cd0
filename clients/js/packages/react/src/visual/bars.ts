import type { Frame } from "../use-canvas.js";

const PITCH_PX = 6;
const BAR_PX = 3;

/** Bars that grow from the middle, the newest in the centre, mirrored to both sides. */
export function drawBars(frame: Frame, history: readonly number[]): void {
  const { context, width, height, color } = frame;
  const half = Math.floor(width / PITCH_PX / 2);
  context.fillStyle = color;
  for (let column = -half; column <= half; column++) {
    const age = frame.still ? 0 : Math.abs(column);
    const level = Math.sqrt(history[history.length - 1 - age] ?? 0);
    const taper = Math.cos((column / (half + 1)) * (Math.PI / 2));
    const tall = Math.max(BAR_PX, level * taper * height);
    context.globalAlpha = 0.35 + 0.65 * level * taper;
    context.beginPath();
    const left = width / 2 + column * PITCH_PX - BAR_PX / 2;
    context.roundRect(left, (height - tall) / 2, BAR_PX, tall, BAR_PX / 2);
    context.fill();
  }
  context.globalAlpha = 1;
}
