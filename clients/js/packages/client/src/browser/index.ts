/** What a page hears and speaks with. */
import type { MediaFactory, MediaOptions } from "../api.js";
import { BrowserMedia } from "./browser-media.js";

/** Microphone and speaker of a browser. Nothing of the page is touched before a session starts. */
export function browserMedia(options: MediaOptions = {}): MediaFactory {
  return ({ logger }) => new BrowserMedia(options, logger);
}
