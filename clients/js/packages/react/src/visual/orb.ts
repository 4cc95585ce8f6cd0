import type { BotActivity, Levels } from "@voxwire/client";
import type { Frame } from "../use-canvas.js";

const POINTS = 72;
const LAYERS = [
  { size: 1, alpha: 0.16, waves: 3, speed: 0.31, phase: 0 },
  { size: 0.93, alpha: 0.2, waves: 2, speed: -0.43, phase: 2.1 },
  { size: 0.86, alpha: 0.26, waves: 4, speed: 0.53, phase: 4.2 },
] as const;

/** A soft ball: breathes while idle, swells and ripples with what is heard. */
export function drawOrb(frame: Frame, levels: Levels, state: BotActivity): void {
  const { context, width, height, color, nowMs } = frame;
  const [x, y, radius] = [width / 2, height / 2, Math.min(width, height) / 2];
  const seconds = frame.still ? 0 : nowMs / 1000;
  const loud = Math.sqrt(Math.max(levels.bot, levels.microphone));
  const breath = frame.still ? 0 : Math.sin(seconds * 1.4) * 0.014;
  const pace = state === "thinking" ? 3 : 1;
  const base = radius * (0.58 + breath + 0.22 * loud);
  glow(context, x, y, radius, color, 0.16 + 0.3 * loud);
  for (const layer of LAYERS) {
    const ripple = state === "thinking" ? 0.035 : 0.012 + 0.085 * loud;
    const turn = seconds * layer.speed * pace + layer.phase;
    outline(context, x, y, base * layer.size, ripple, layer.waves, turn, seconds * pace);
    context.globalAlpha = layer.alpha;
    context.fillStyle = color;
    context.fill();
  }
  core(context, x, y, base * 0.8, color);
  context.globalAlpha = 1;
}

function glow(
  at: CanvasRenderingContext2D,
  x: number,
  y: number,
  r: number,
  color: string,
  alpha: number,
) {
  const light = at.createRadialGradient(x, y, r * 0.3, x, y, r);
  light.addColorStop(0, color);
  light.addColorStop(1, "transparent");
  at.globalAlpha = alpha;
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
) {
  at.beginPath();
  for (let point = 0; point <= POINTS; point++) {
    const angle = (point / POINTS) * Math.PI * 2;
    const wave = Math.sin(angle * waves + turn * 2) + Math.sin(angle * (waves + 1) - seconds) * 0.6;
    const reach = r * (1 + ripple * wave);
    at.lineTo(x + Math.cos(angle + turn) * reach, y + Math.sin(angle + turn) * reach);
  }
  at.closePath();
}

function core(at: CanvasRenderingContext2D, x: number, y: number, r: number, color: string) {
  const shade = at.createRadialGradient(x - r * 0.35, y - r * 0.4, r * 0.05, x, y, r);
  shade.addColorStop(0, "white");
  shade.addColorStop(0.35, color);
  shade.addColorStop(1, color);
  at.globalAlpha = 0.92;
  at.fillStyle = shade;
  at.beginPath();
  at.arc(x, y, r, 0, Math.PI * 2);
  at.fill();
}
