/// <reference path="./daily-co.d.ts" />
/** Rooms of Daily's as what carries the audio; an entry of its own, for pages that want it. */
import type { MediaFactory, MediaOptions } from "../api.js";
import { BrowserMedia } from "../browser/browser-media.js";
import type { DailyModule, LoadDaily } from "./daily-js.js";
import { DailyPath } from "./daily-path.js";

export type { DailyCall, DailyModule } from "./daily-js.js";

export interface DailyMediaOptions extends MediaOptions {
  /** Gives daily-js; without it, it is imported when a room is entered. */
  readonly daily?: LoadDaily | undefined;
}

async function load(): Promise<DailyModule> {
  const { default: daily } = await import("@daily-co/daily-js");
  return daily;
}

/**
 * Microphone and speaker of a browser that can also be carried through a Daily room, where
 * `transport: "daily"` asks for it:
 * `createClient({ url, transport: "daily", media: dailyMedia() })`.
 */
export function dailyMedia(options: DailyMediaOptions = {}): MediaFactory {
  const { daily = load, ...rest } = options;
  return ({ logger }) =>
    new BrowserMedia(rest, logger, (path) => new DailyPath({ ...path, load: daily }));
}
