import { makeError } from "@voxwire/protocol";

const SCHEMES: Readonly<Record<string, string>> = {
  "ws:": "ws:",
  "http:": "ws:",
  "wss:": "wss:",
  "https:": "wss:",
};

const NO_SCHEME =
  "the URL has no scheme: give ws://localhost:7860, " + "or a path of the page, from / or .";
const PATH = "/v1/session";

/** The control channel's URL for what a program names: `http` becomes `ws`, a relative one is on
 * the page's origin. A path is where the server is mounted: `/v1/session` is added to it unless it
 * ends so. */
export function controlUrl(url: string | URL, base: string | undefined): string {
  const { protocol, host, pathname, search } = serverUrl(url, base);
  const mount = pathname.replace(/\/+$/, "");
  const path = mount.endsWith(PATH) ? mount : `${mount}${PATH}`;
  return `${SCHEMES[protocol]}//${host}${path}${search}`;
}

/** The absolute URL of what a program names; throws a UsageError where it names no server. */
export function serverUrl(url: string | URL, base: string | undefined): URL {
  const text = String(url);
  const absolute = /^[a-z][a-z0-9+.-]*:\/\//i.test(text);
  const relative = /^(\.{0,2}\/|\.{1,2}$)/.test(text);
  if (!absolute && !relative) throw makeError("invalid_argument", NO_SCHEME);
  let parsed: URL;
  try {
    parsed = new URL(text, absolute ? undefined : base);
  } catch {
    throw makeError(
      "invalid_argument",
      base === undefined && !absolute
        ? "a relative URL needs a page; give wss://host"
        : "the URL must look like wss://host, https://host or /",
    );
  }
  if (!(parsed.protocol in SCHEMES) || parsed.hostname === "") {
    throw makeError("invalid_argument", "the URL's scheme must be ws, wss, http or https");
  }
  if (parsed.username || parsed.password) {
    throw makeError("invalid_argument", "the URL must not carry credentials; use token");
  }
  return parsed;
}

/** This machine, as `URL` writes it. */
const LOOPBACK = /^((.+\.)?localhost|127\.[\d.]+|0\.0\.0\.0|\[::1?\]|\[::ffff:(7f..:.+|0:0)\])\.?$/;

/** True when the URL names this machine. */
export function isLoopback(url: string): boolean {
  return LOOPBACK.test(new URL(url).hostname);
}
