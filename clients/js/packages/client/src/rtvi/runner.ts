/** What a Pipecat runner is asked over HTTP: to start a bot, to answer an offer, to take candidates
 * (pipecat 1.14, `runner/run.py` and `transports/smallwebrtc/request_handler.py`). */
import { type ErrorCode, type JsonValue, makeError, type VoxwireError } from "@voxwire/protocol";
import { isLoopback } from "../core/url.js";

const MAX_ANSWER_CHARS = 1_048_576;
const MAX_REASON_CHARS = 300;

/** What an HTTP status means; 5xx are "unreachable", other refusals "unsupported". */
const CODES: { readonly [status: number]: ErrorCode } = {
  401: "unauthorized",
  403: "forbidden",
  404: "unreachable",
  408: "timeout",
  413: "too_large",
  422: "version",
  429: "rate_limited",
  503: "capacity",
};

type Members = { readonly [name: string]: JsonValue };

export interface RunnerOptions {
  /** Where the runner is mounted, absolute and without a slash at its end. */
  readonly url: string;
  /** Where offers go, below the URL. */
  readonly endpoint: string;
  readonly token: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What the runner says of a bot that it will start. */
export interface Started {
  readonly sessionId: string;
  readonly iceServers: readonly RTCIceServer[];
  /** Where the bot's WebSocket is, as the runner says it; "" = it says none. */
  readonly wsUrl: string;
  /** For that WebSocket, once. */
  readonly token: string;
}

/** A candidate of this side as stock runners read it. */
export interface Candidate {
  readonly candidate: string;
  readonly sdp_mid: string;
  readonly sdp_mline_index: number;
}

export class Runner {
  #offers: string;

  constructor(private readonly options: RunnerOptions) {
    this.#offers = this.#below(options.endpoint);
  }

  /** Asks for a bot: `POST /start`. Offers go to its session from then on. */
  async start(asked: Members, signal: AbortSignal): Promise<Started> {
    const answer = await this.#ask("POST", this.#below("/start"), asked, signal);
    const sessionId = textOf(answer.sessionId);
    if (sessionId) this.#offers = this.#below(`/sessions/${sessionId}${this.options.endpoint}`);
    const { iceConfig } = answer;
    const servers = isMembers(iceConfig) ? iceConfig.iceServers : [];
    return {
      sessionId,
      iceServers: Array.isArray(servers) ? servers.filter(isIceServer) : [],
      wsUrl: textOf(answer.wsUrl),
      token: textOf(answer.token),
    };
  }

  /** Has an offer answered: the answer's SDP, and the name that the connection has from then on. */
  async offer(offer: Members, signal: AbortSignal): Promise<{ sdp: string; pcId: string }> {
    const asked = { ...offer, type: "offer" };
    const answer = await this.#ask("POST", this.#offers, asked, signal);
    const [sdp, pcId] = [textOf(answer.sdp), textOf(answer.pc_id)];
    if (answer.type === "answer" && sdp && pcId) return { sdp, pcId };
    throw makeError("malformed", `what ${this.#host} answers to an offer is no answer`);
  }

  /** Tells candidates of a connection. */
  async tell(pcId: string, candidates: readonly Candidate[], signal: AbortSignal): Promise<void> {
    const asked = { pc_id: pcId, candidates: candidates.map((one) => ({ ...one })) };
    await this.#ask("PATCH", this.#offers, asked, signal);
  }

  /**
   * Whether a request failed since nothing listens any more: what the runner ran is gone with it.
   * Node tells a refused connection from a network that is gone. A browser does not, so that only a
   * runner on this machine, with no network between, is known to be gone there.
   */
  async isGone({ cause }: VoxwireError, signal: AbortSignal): Promise<boolean> {
    if (!(cause instanceof TypeError)) return false;
    const { code } = (cause.cause ?? {}) as { readonly code?: unknown };
    if (code === "ECONNREFUSED") return true;
    if (!isLoopback(this.options.url) || globalThis.navigator?.onLine === false) return false;
    // what answers, though this page may not read it, is there
    const asked = fetch(this.#offers, { mode: "no-cors", cache: "no-store", signal });
    return asked.then(
      () => false,
      () => true,
    );
  }

  get #host(): string {
    return new URL(this.options.url).host;
  }

  #below(path: string): string {
    return `${this.options.url}/${path.replace(/^\/+/, "")}`;
  }

  async #ask(method: string, url: string, body: Members, signal: AbortSignal): Promise<Members> {
    const { token, headers } = this.options;
    const sent = {
      "content-type": "application/json",
      ...(token && { authorization: `Bearer ${token}` }),
      ...headers,
    };
    let status: number;
    let text: string;
    try {
      const request = { method, headers: sent, body: JSON.stringify(body), signal };
      const answer = await fetch(url, request);
      status = answer.status;
      text = await answer.text();
    } catch (cause) {
      if (signal.aborted) throw signal.reason;
      const reason =
        `nothing answers at ${new URL(url).host}, or this page may not read its answer: ` +
        "does the Pipecat runner run, and allow the page's origin?";
      throw makeError("unreachable", reason, { retryable: true, action: "reconnect", cause });
    }
    const said = text.length > MAX_ANSWER_CHARS ? undefined : parsed(text);
    if (status < 200 || status > 299) throw this.#refused(status, url, said);
    if (said) return said;
    throw makeError("malformed", `what ${this.#host} answers is no JSON object of at most 1 MiB`);
  }

  #refused(status: number, url: string, said: Members | undefined) {
    const why = [said?.detail, said?.reason, said?.info, said?.error].map(textOf).find(Boolean);
    const path = status === 404 ? ` for ${new URL(url).pathname}` : "";
    const more = why ? `: ${why.slice(0, MAX_REASON_CHARS)}` : "";
    const code = CODES[status] ?? (status >= 500 ? "unreachable" : "unsupported");
    const retryable = status >= 500 || status === 408 || status === 429;
    return makeError(code, `${this.#host} answered HTTP ${status}${path}${more}`, { retryable });
  }
}

/**
 * Whether two names are of different connections, as far as they tell: pipecat counts those of a
 * process, "SmallWebRTCConnection#N-" and 32 hex digits, of which a restart changes the digits alone.
 */
export function areOfTwo(pcId: string, other: string): boolean {
  const [one, two] = [pcId, other].map((name) => /^(\w+#\d+)-[\da-f]{32}$/.exec(name)?.[1]);
  return one !== undefined && two !== undefined && one !== two;
}

function parsed(text: string): Members | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isMembers(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function isIceServer(value: unknown): value is RTCIceServer & JsonValue {
  if (!isMembers(value)) return false;
  const { urls } = value;
  return typeof urls === "string" || (Array.isArray(urls) && urls.every((one) => textOf(one)));
}

/**
 * Where a runner's WebSocket really is. Pipecat's runner puts together an address of its own: that
 * which it is bound to, and `wss` for every host but "localhost", whether there is TLS or not. One
 * on the host that was asked, or on none ("0.0.0.0"), is meant to be reached as the runner is.
 *
 * @param said - What the runner says.
 * @param asked - The runner's own URL.
 * @throws "malformed": it is no WebSocket's URL, or one without TLS on another host though
 * the runner was asked with TLS.
 */
export function socketUrl(said: string, asked: string): string {
  const runner = new URL(asked);
  const url = urlOf(said, asked);
  if (!url || !/^(ws|http)s?:$/.test(url.protocol) || url.username) {
    throw makeError("malformed", "the answer to the start names no WebSocket");
  }
  const isItsOwn = url.host === runner.host || /^(0\.0\.0\.0|\[::\])$/.test(url.hostname);
  if (isItsOwn) return asWebSocket(`${runner.origin}${url.pathname}${url.search}`);
  if (runner.protocol === "https:" && /^(ws|http):$/.test(url.protocol)) {
    throw makeError("malformed", "the answer to the start gives encryption up");
  }
  return asWebSocket(url.href);
}

function urlOf(said: string, asked: string): URL | undefined {
  try {
    return new URL(said, asked);
  } catch {
    return undefined;
  }
}

/** The URL of a WebSocket at an HTTP URL. */
export function asWebSocket(url: string): string {
  return url.replace(/^http/i, "ws");
}
