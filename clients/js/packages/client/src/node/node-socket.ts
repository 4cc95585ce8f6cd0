import { makeError } from "@voxwire/protocol";
import type { WebSocketLike } from "../core/environment.js";

type Constructor = new (
  url: string,
  protocol: string | string[],
  options?: object,
) => WebSocketLike;

/** Opens a WebSocket with the package `ws`, which `npm install ws` brings, else with Node's own
 * (Node >= 22). Rejects with "missing_extra" when there is neither. */
export async function nodeSocket(url: string, protocol: string): Promise<WebSocketLike> {
  const name: string = "ws"; // not for bundlers
  let found: { readonly default?: Constructor; readonly WebSocket?: Constructor };
  try {
    found = await import(name);
  } catch (cause) {
    const own = (globalThis as { readonly WebSocket?: Constructor }).WebSocket;
    if (own) return new own(url, protocol || []);
    const reason = "this Node has no WebSocket: npm install ws";
    throw makeError("missing_extra", reason, { cause });
  }
  const Socket = found.WebSocket ?? found.default;
  if (Socket === undefined) throw makeError("missing_extra", "ws has no WebSocket in it");
  return new Socket(url, protocol || [], { perMessageDeflate: false, maxPayload: 1 << 20 });
}
