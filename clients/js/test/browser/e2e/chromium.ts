/** Chromium, and pages of it whose troubles and requests are known. */
import { type Browser, chromium, type Page } from "playwright-core";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--autoplay-policy=no-user-gesture-required",
];

/** A microphone that beeps, and a user who allows it. */
export const FAKE_DEVICE = "--use-fake-device-for-media-stream";
export const FAKE_USER = "--use-fake-ui-for-media-stream";
/** A name for this machine that makes no secure origin. */
export const ELSEWHERE = "voxwire.test";
/** Another one, of which the server has not been told. */
export const STRANGER = "stranger.test";
const NAMES = `MAP ${ELSEWHERE} 127.0.0.1, MAP ${STRANGER} 127.0.0.1`;
export const NAMED = `--host-resolver-rules=${NAMES}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1`;
/** `localhost`, as Pipecat's runner calls itself, and no other name. */
export const LOCALHOST =
  "--host-resolver-rules=MAP localhost 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1";
/** Names other than this machine's do not resolve. */
export const NO_NAMES = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1";

export function launch(flags: readonly string[] = [FAKE_DEVICE, FAKE_USER]): Promise<Browser> {
  return chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [...FLAGS, ...flags, ...(flags.some((f) => f.startsWith("--host-r")) ? [] : [NO_NAMES])],
  });
}

/** A page of the tests' site; requests to any other origin are aborted and noted.
 *
 * @param peers - Origins that the page has business with. */
export async function openPage(
  browser: Browser,
  url: string,
  peers: readonly string[] = [],
): Promise<Page & { foreign: string[] }> {
  const page = Object.assign(await browser.newPage(), { foreign: [] as string[] });
  const known = [url, ...peers].map((one) => new URL(one).host);
  await page.route("**/*", (route) => {
    if (known.includes(new URL(route.request().url()).host)) return route.continue();
    page.foreign.push(route.request().url());
    return route.abort();
  });
  page.on("websocket", (socket) => {
    if (!known.includes(new URL(socket.url()).host)) page.foreign.push(socket.url());
  });
  page.on("pageerror", (error) => process.stdout.write(`page error: ${error.message}\n`));
  await page.goto(`${url}/page/`);
  await page.waitForFunction(() => window.e2e !== undefined);
  return page;
}
