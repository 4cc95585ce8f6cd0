import { makeError } from "@voxwire/protocol";

const SCHEMES: Readonly<Record<string, string>> = {
  "ws:": "ws:",
  "http:": "ws:",
  "wss:": "wss:",
  "https:": "wss:",
};

const NO_SCHEME =
  "the URL has no scheme: give ws://localhost:7860 or wss://bot.example, " +
  "or a path on the page's own origin, which begins with / or .";

/** The control channel's URL for what a program names: `http` becomes `ws`, without a path
 * `/v1/session` is meant, and a relative one is on the page's origin. */
export function controlUrl(url: string | URL, base: string | undefined): string {
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
        ? "a relative URL needs a page; name the server, for instance ws://127.0.0.1:7860"
        : "the URL must look like wss://host, https://host, ws://127.0.0.1:7860 or /",
    );
  }
  const scheme = SCHEMES[parsed.protocol];
  if (scheme === undefined || parsed.hostname === "") {
    throw makeError("invalid_argument", "the URL's scheme must be ws, wss, http or https");
  }
  if (parsed.username || parsed.password) {
    throw makeError("invalid_argument", "the URL must not carry credentials; use token");
  }
  const path = parsed.pathname.replace(/\/+$/, "") || "/v1/session";
  return `${scheme}//${parsed.host}${path}${parsed.search}`;
}

/** True when the URL names this machine. */
export function isLoopback(url: string): boolean {
  return /^(localhost|127\.0\.0\.1|\[::1\])$/.test(new URL(url).hostname);
}
