import type { BotActivity, Levels } from "@voxwire/client";
import type { Frame } from "../use-canvas.js";
import { withAlpha } from "./color.js";

const POINTS = 96;
const LAYERS = [
  { size: 1.16, alpha: 0.12, waves: 3, speed: 0.31, phase: 0 },
  { size: 1.06, alpha: 0.16, waves: 2, speed: -0.43, phase: 2.1 },
  { size: 0.97, alpha: 0.26, waves: 4, speed: 0.53, phase: 4.2 },
] as const;

/** A soft ball: breathes while idle, swells and ripples with what is heard. */
export function drawOrb(frame: Frame, levels: Levels, state: BotActivity): void {
  const { context, width, height, color, nowMs } = frame;
  const [x, y, radius] = [width / 2, height / 2, Math.min(width, height) / 2];
  const seconds = frame.still ? 0 : nowMs / 1000;
  const loud = Math.min(1, 1.4 * Math.sqrt(Math.max(levels.bot, levels.microphone)));
  const breath = frame.still ? 0 : Math.sin(seconds * 1.4) * 0.016;
  const pace = state === "thinking" ? 3 : 1;
  const base = radius * (0.54 + breath + 0.18 * loud);
  halo(context, x, y, radius, color, 0.2 + 0.3 * loud);
  for (const layer of LAYERS) {
    const ripple = state === "thinking" ? 0.03 : 0.012 + 0.06 * loud;
    const turn = seconds * layer.speed * pace + layer.phase;
    outline(context, x, y, base * layer.size, ripple, layer.waves, turn, seconds * pace);
    context.fillStyle = withAlpha(color, layer.alpha);
    context.fill();
  }
  ball(context, x, y, base * 0.88, color, seconds * 0.4 * pace);
}

function halo(
  at: CanvasRenderingContext2D,
  x: number,
  y: number,
  r: number,
  color: string,
  alpha: number,
): void {
  const light = at.createRadialGradient(x, y, r * 0.35, x, y, r);
  light.addColorStop(0, withAlpha(color, alpha));
  light.addColorStop(0.55, withAlpha(color, alpha * 0.25));
  light.addColorStop(1, withAlpha(color, 0));
  at.fillStyle = light;
  at.fillRect(x - r, y - r, r * 2, r * 2);
}

function outline(
  at: CanvasRenderingContext2D,
  x: number,
  y: number,
  r: number,
  ripple: number,
  waves: number,
  turn: number,
  seconds: number,
): void {
  at.beginPath();
  for (let point = 0; point <= POINTS; point++) {
    const angle = (point / POINTS) * Math.PI * 2;
    const wave = Math.sin(angle * waves + turn * 2) + Math.sin(angle * (waves + 1) - seconds) * 0.6;
    const reach = r * (1 + ripple * wave);
    at.lineTo(x + Math.cos(angle + turn) * reach, y + Math.sin(angle + turn) * reach);
  }
  at.closePath();
}

/** The middle: lit from above, with a slow sheen that wanders within. */
function ball(
  at: CanvasRenderingContext2D,
  x: number,
  y: number,
  r: number,
  color: string,
  turn: number,
): void {
  at.save();
  at.beginPath();
  at.arc(x, y, r, 0, Math.PI * 2);
  at.clip();
  at.fillStyle = color;
  at.fillRect(x - r, y - r, r * 2, r * 2);
  const shade = at.createRadialGradient(x, y - r * 0.6, 0, x, y - r * 0.2, r * 1.4);
  shade.addColorStop(0, "rgba(255, 255, 255, 0.4)");
  shade.addColorStop(0.6, "rgba(255, 255, 255, 0.06)");
  shade.addColorStop(1, "rgba(12, 14, 48, 0.14)");
  at.fillStyle = shade;
  at.fillRect(x - r, y - r, r * 2, r * 2);
  const [sx, sy] = [x + Math.cos(turn) * r * 0.45, y + Math.sin(turn * 1.3) * r * 0.45];
  const sheen = at.createRadialGradient(sx, sy, 0, sx, sy, r * 1.1);
  sheen.addColorStop(0, "rgba(255, 255, 255, 0.2)");
  sheen.addColorStop(1, "rgba(255, 255, 255, 0)");
  at.fillStyle = sheen;
  at.fillRect(x - r, y - r, r * 2, r * 2);
  at.restore();
}
