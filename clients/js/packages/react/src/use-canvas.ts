"use client";

import { type RefObject, useEffect, useRef } from "react";
import { useLatest } from "./use-latest.js";

/** One picture of a canvas; sizes are CSS pixels. */
export interface Frame {
  readonly context: CanvasRenderingContext2D;
  readonly width: number;
  readonly height: number;
  /** The element's CSS `color`. */
  readonly color: string;
  readonly nowMs: number;
  /** Since the frame before, milliseconds. */
  readonly stepMs: number;
  /** The user asked for less motion. */
  readonly still: boolean;
}

const STILL_STEP_MS = 250;

export interface CanvasOptions {
  /** Least time between two pictures, milliseconds; default: every screen refresh. */
  readonly intervalMs?: number | undefined;
}

/**
 * Draws a canvas for every screen refresh (four times a second with `prefers-reduced-motion`).
 * Nothing is drawn while the element is not shown.
 */
export function useCanvas(
  draw: (frame: Frame) => void,
  { intervalMs = 0 }: CanvasOptions = {},
): RefObject<HTMLCanvasElement | null> {
  const ref = useRef<HTMLCanvasElement>(null);
  const latest = useLatest(draw);
  useEffect(() => {
    const canvas = ref.current;
    const context = canvas?.getContext("2d");
    if (!canvas || !context) return;
    const reduced = matchMedia("(prefers-reduced-motion: reduce)");
    let lastMs = 0;
    let request = requestAnimationFrame(function paint(nowMs) {
      request = requestAnimationFrame(paint);
      const stepMs = nowMs - lastMs;
      if (stepMs < (reduced.matches ? STILL_STEP_MS : intervalMs)) return;
      if (canvas.clientWidth === 0 || canvas.clientHeight === 0) return;
      lastMs = nowMs;
      const { width, height } = fit(canvas, context);
      const color = getComputedStyle(canvas).color;
      const still = reduced.matches;
      latest.current({
        context,
        width,
        height,
        color,
        nowMs,
        stepMs: Math.min(stepMs, 250),
        still,
      });
    });
    return () => cancelAnimationFrame(request);
  }, [latest, intervalMs]);
  return ref;
}

/** Gives the canvas as many pixels as it covers, and clears it. */
function fit(canvas: HTMLCanvasElement, context: CanvasRenderingContext2D) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = Math.min(devicePixelRatio || 1, 2);
  const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== across || canvas.height !== down) {
    canvas.width = across;
    canvas.height = down;
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { width, height };
}
