// Chromium through playwright-core, with what the scripts of the console need.
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The browser, or undefined where there is none. */
export const chromiumPath = () =>
  process.env.VOXWIRE_TEST_CHROMIUM ?? PLACES.find((path) => existsSync(path));

/** Starts it, without a word to any other host. */
export function launch(...more) {
  const executablePath = chromiumPath();
  if (executablePath === undefined) throw new Error("no Chromium found; set VOXWIRE_TEST_CHROMIUM");
  return chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...more,
    ],
  });
}
