/** Why a WebSocket was not opened. A browser tells a page nothing of a refused one, not even its
 * status, so the page asks once more at the same URL over HTTP, where the server gives the reason.
 * Loaded when there is something to explain. */
import { makeError, type VoxwireError } from "@voxwire/protocol";
import * as wire from "@voxwire/protocol/wire";
import { askOverHttp, type HttpAnswer } from "./http-answer.js";
import { refused } from "./refusal.js";
import type { Scope } from "./scope.js";

/** How long the answer may take, milliseconds. */
const ASK_MS = 1500;
const MAX_REASON_CHARS = 300;

/** The error for a first WebSocket to `url` that was not opened: with the server's reason, where it
 * gives one, else as it was. */
export async function explained(
  scope: Scope,
  url: string,
  error: VoxwireError,
): Promise<VoxwireError> {
  if (!(error.code === "unreachable" || error.code === "forbidden")) return error;
  const answer = await askAt(scope, url);
  return answer === undefined ? error : verdict(new URL(url), answer, error);
}

/** What HTTP is answered where a WebSocket would be; undefined = nothing. */
export async function askAt(scope: Scope, url: string): Promise<HttpAnswer | undefined> {
  const { ask = askOverHttp } = scope.env;
  const end = new AbortController();
  return scope
    .race(
      ask(url.replace(/^ws/, "http"), end.signal).catch(() => undefined),
      ASK_MS,
    )
    .catch(() => undefined)
    .finally(() => end.abort());
}

/** What such an answer means for a WebSocket that was not opened. */
export function verdict(
  { host, pathname }: URL,
  answer: HttpAnswer,
  error: VoxwireError,
): VoxwireError {
  const { status, body } = answer;
  const why = refusalOf(answer);
  if (why !== "") return refused(host, status, why);
  if (error.code === "forbidden") return error;
  const ours = status >= 200 && status < 300 && body.includes(`"${wire.SUBPROTOCOL}"`);
  const reason =
    status >= 500
      ? `${host} answered HTTP ${status}: what stands there does not reach the server; is it running?`
      : ours
        ? `${host} answers, but opens no WebSocket: does a proxy on the way let them through?`
        : `something answers at ${host}, but no control channel is at ${pathname}: is it a Voxwire server?`;
  return makeError("unreachable", reason, { retryable: true, action: "reconnect" });
}

/** The reason that a server gives for a refusal over HTTP; "" = none. */
export function refusalOf({ status, body }: HttpAnswer): string {
  if (status < 300) return "";
  try {
    const { reason } = JSON.parse(body) as { readonly reason?: unknown };
    return typeof reason === "string" ? reason.slice(0, MAX_REASON_CHARS) : "";
  } catch {
    return "";
  }
}
