/** What a server means that answers with an HTTP status in place of a WebSocket. */
import { makeError, type VoxwireError } from "@voxwire/protocol";

/** HTTP status of a refusal. */
const STATUS_CODES: { readonly [status: number]: VoxwireError["code"] } = {
  401: "unauthorized",
  403: "forbidden",
  413: "too_large",
  429: "rate_limited",
  503: "capacity",
};

/** The error of a server that answered with an HTTP status in place of a WebSocket.
 *
 * @param why - What it said about it; "" = nothing. */
export function refused(where: string, status: number, why: string): VoxwireError {
  const reason = `${where} answered HTTP ${status}${why && `: ${why}`}`;
  const retryable = status === 429 || status === 503;
  return makeError(STATUS_CODES[status] ?? "unreachable", reason, { retryable });
}
