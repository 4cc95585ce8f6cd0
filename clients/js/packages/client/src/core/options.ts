import { dumpJson, type JsonValue, makeError, VoxwireError } from "@voxwire/protocol";
import type { ClientOptions, TokenRequest } from "../api.js";
import type { Media } from "../media/media.js";
import { nameOf } from "./attach.js";
import type { Environment } from "./environment.js";
import type { SessionOptions } from "./peer.js";
import { voxwirePeer } from "./voxwire-peer.js";

const MAX_METADATA_BYTES = 8192;

/** The options that a connect looks at. */
export type OpenOptions = Omit<ClientOptions, "media" | "logger" | "environment">;

/** What a session is opened with. Throws a UsageError when an option cannot be used. */
export function sessionOptions(
  options: OpenOptions,
  env: Environment,
  media: Media,
): Omit<SessionOptions, "token"> {
  const { bot = "", metadata, transport = "auto", iceServers, icePolicy = "all" } = options;
  const { peer = voxwirePeer } = options;
  if (!["auto", "webrtc", "websocket", "daily"].includes(transport)) {
    throw makeError("invalid_argument", "transport is one of auto, webrtc, websocket, daily");
  }
  const auto = transport === "auto";
  const carriers = media.carriers.filter((one) => (auto ? one !== "daily" : one === transport));
  if (carriers.length === 0) {
    throw makeError("unsupported", `this client's media has no ${transport}`);
  }
  return {
    url: peer.locate(options.url, env.baseUrl()),
    peer,
    bot,
    metadataJson: metadata === undefined ? "" : metadataText(metadata),
    carriers: carriers.slice(0, peer.maxCarriers),
    iceServers,
    icePolicy,
    resume: options.resume ?? true,
    resumeMs: options.resumeTimeoutMs,
  };
}

/** Metadata as JSON: an object, since that is what a bot reads. */
function metadataText(metadata: JsonValue): string {
  if (typeof metadata !== "object" || metadata === null || Array.isArray(metadata)) {
    throw makeError("invalid_argument", "metadata must be an object");
  }
  return dumpJson(metadata, { maxBytes: MAX_METADATA_BYTES });
}

/** The token for a connect; "" where the program has none. What a `tokenSource` throws is an
 * `unauthorized` with the original as its cause: there is no token to connect with. */
export async function tokenOf(options: OpenOptions, request: TokenRequest): Promise<string> {
  const { tokenSource, token = "" } = options;
  if (tokenSource === undefined) return token;
  if (token && request.reason === "connect") return token;
  let given: unknown;
  try {
    given = await tokenSource(request);
  } catch (cause) {
    if (cause instanceof VoxwireError || request.signal.aborted) throw cause;
    const reason = `tokenSource gave no token, it threw ${nameOf(cause)}`;
    throw makeError("unauthorized", reason, { cause });
  }
  if (typeof given === "string") return given;
  throw makeError("invalid_argument", "tokenSource did not give a string");
}
