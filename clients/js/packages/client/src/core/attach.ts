/** What the client says to get a session or to get it back, and how long it goes on trying. Pure,
 * but for nonces and jitter. */
import { makeError, type TransportError, VoxwireError } from "@voxwire/protocol";
import * as wire from "@voxwire/protocol/wire";
import { Addresses } from "./addresses.js";
import type { Environment } from "./environment.js";
import { VERSION } from "./version.js";

/** How long a session waits for its client when Welcome does not say, milliseconds. */
export const GRACE_MS = 60_000;
const DELAYS_MS = [0, 100, 200, 500, 1000];
const JITTER = 0.2;

/** The server answered Hello with an error. */
export class Refusal extends Error {
  /** @param sentOn - It has said where the session is. */
  constructor(
    readonly error: VoxwireError,
    readonly sentOn = false,
  ) {
    super(error.message, { cause: error });
  }
}

/** A socket is gone; its session may not be. */
export class Lost extends Error {
  constructor(readonly error: VoxwireError) {
    super(error.message, { cause: error });
  }
}

export interface GreetingOptions {
  readonly url: string;
  readonly token: string;
  readonly bot: string;
  readonly metadataJson: string;
  readonly webrtc: boolean;
  readonly daily?: boolean;
  readonly resume: boolean;
  /** It waits for a place where the server has none. */
  readonly waits?: boolean | undefined;
  /** Longest time to try, milliseconds; undefined = the server's grace. */
  readonly resumeMs: number | undefined;
  readonly tools: readonly wire.ToolDeclaration[];
  /** Nonce of the first attach, when a token was used with it already. */
  readonly nonce?: Uint8Array<ArrayBuffer> | undefined;
}

/** Makes the Hello of every attach of one session; the same nonce until it is welcomed. */
export class Greeting {
  readonly addresses: Addresses;
  /** The URL of the socket in use. */
  here = "";
  graceMs = GRACE_MS;
  /** True while a Hello may have arrived whose Welcome was not read. */
  unanswered = false;
  /** True once the server has said that it keeps the session. */
  resumable = false;
  readonly #features: wire.Feature[];
  #nonce: Uint8Array<ArrayBuffer>;
  #held: Pick<wire.Welcome, "sessionId" | "resumeToken" | "epoch"> | undefined;

  constructor(
    private readonly env: Environment,
    private readonly options: GreetingOptions,
  ) {
    this.addresses = new Addresses(options.url);
    this.#features = [
      wire.Feature.PLAYOUT_REPORTS,
      wire.Feature.FLUSH,
      wire.Feature.WORDS,
      wire.Feature.SEQUENCE,
      wire.Feature.CHUNKS,
      wire.Feature.WEBSOCKET_AUDIO,
      wire.Feature.KEPT_CAPTURE,
      wire.Feature.USER_ACTIVITY,
    ];
    if (options.webrtc) this.#features.push(wire.Feature.WEBRTC);
    if (options.daily) this.#features.push(wire.Feature.DAILY);
    if (options.tools.length > 0) this.#features.push(wire.Feature.CLIENT_TOOLS);
    if (options.waits) this.#features.push(wire.Feature.WAITING);
    if (options.resume) this.#features.push(wire.Feature.RESUME);
    this.#nonce = options.nonce ?? env.randomBytes(16);
  }

  /** True until the session was welcomed. */
  get first(): boolean {
    return this.#held === undefined;
  }

  /** The Hello, which counts as said from here on; `lastSeq` was received without a gap. */
  hello(lastSeq: number): wire.Envelope {
    this.unanswered = true;
    const { token, bot, metadataJson, tools } = this.options;
    const opening = this.#held
      ? { ...this.#held, lastSeq: BigInt(lastSeq) }
      : { token, bot, metadataJson, tools: [...tools] };
    return wire.envelope({
      case: "hello",
      value: {
        protocolVersion: wire.PROTOCOL_VERSION,
        attachNonce: this.#nonce,
        features: this.#features,
        client: { library: "voxwire-js", libraryVersion: VERSION, platform: this.env.platform },
        maxMessageBytes: wire.DEFAULT_MAX_MESSAGE_BYTES,
        ...opening,
      },
    });
  }

  /** Takes the answer of who is at `url`: the next attach uses its token and a new nonce. Throws
   * if it is about another session. */
  welcomed(welcome: wire.Welcome, url: string): void {
    if (this.#held && welcome.sessionId !== this.#held.sessionId) {
      throw makeError("session_expired", "the server answered with another session", {
        action: "reconnect",
      });
    }
    const { sessionId, resumeToken, epoch } = welcome;
    this.#held = { sessionId, resumeToken, epoch };
    this.#nonce = this.env.randomBytes(16);
    this.unanswered = false;
    this.graceMs = Math.min(
      welcome.graceMs || GRACE_MS,
      this.options.resumeMs ?? Number.POSITIVE_INFINITY,
    );
    const { RESUME } = wire.Feature;
    this.resumable = this.options.resume && welcome.features.includes(RESUME);
    this.here = url;
    this.addresses.welcomed(url, welcome.resumeUrl);
  }
}

/** Wait before try number `attempt` (from 1): at once, then 0.1 to 1 s, each ±20 %. */
export function backoffMs(attempt: number, jitter: number): number {
  const delay = DELAYS_MS[Math.min(attempt, DELAYS_MS.length) - 1] ?? 0;
  return delay * (1 - JITTER + 2 * JITTER * jitter);
}

/** True when dialling again makes no sense. `attaching`: it answered an attempt to come back. */
export function isFinal(error: VoxwireError, attaching: boolean): boolean {
  const { action, code, retryable } = error;
  if (action === "resume" || /^(connection_lost|timeout|unreachable)$/.test(code)) return false;
  return !(attaching && (retryable || code === "capacity" || code === "rate_limited"));
}

/** The error for a session that could not be had back within its grace. */
export function expired(waitedMs: number, cause: VoxwireError): VoxwireError {
  const seconds = (waitedMs / 1000).toFixed(1);
  const reason = `the connection was lost and not back within ${seconds} s (${cause.reason})`;
  return makeError("session_expired", reason, { action: "reconnect", cause });
}

/** The error for a wire that broke. */
export function lost(reason: string, cause?: unknown): TransportError {
  const details = { retryable: true, action: "reconnect", cause } as const;
  return makeError("connection_lost", reason, details);
}

/** What is told of an error that is not ours. */
export function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

/** Whatever was thrown as one of our errors. */
export function asError(error: unknown): VoxwireError {
  if (error instanceof VoxwireError) return error;
  if (error instanceof Lost || error instanceof Refusal) return error.error;
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return makeError("internal", `the client failed: ${what}`, { cause: error });
}
