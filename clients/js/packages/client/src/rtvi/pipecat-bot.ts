/** A stock Pipecat bot as what a client talks to. */
import { type JsonValue, makeError } from "@voxwire/protocol";
import type { Peer, PeerParts, SessionOptions } from "../core/peer.js";
import { serverUrl } from "../core/url.js";
import { ChatLine } from "./chat-line.js";
import { FrameLine } from "./frame-line.js";
import type { Line, LineHost } from "./line.js";
import { asWebSocket, Runner, type Started, socketUrl } from "./runner.js";
import { StockChannel } from "./stock-channel.js";

/** Longest wait for the WebSocket; `connect` has a deadline of its own, milliseconds. */
const DIAL_MS = 60_000;
const NOT_STARTED: Started = { sessionId: "", iceServers: [], wsUrl: "", token: "" };

export interface PipecatBotOptions {
  /** Asks for a bot first: `POST /start` below the URL, as Pipecat Cloud and runners with tokens
   * want it. An object has further members of its body. Default false. */
  readonly start?: boolean | { readonly [member: string]: JsonValue } | undefined;
  /** Path below the URL where the bot is: default "/api/offer" (WebRTC), "/ws-client" (WebSocket). */
  readonly endpoint?: string | undefined;
  /** Sent with each HTTP request. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/**
 * A bot of Pipecat's runner, or of Pipecat Cloud, in place of a Voxwire server: SmallWebRTC or its
 * WebSocket, whichever the client's `transport` says (WebRTC where there is one).
 *
 * `token` goes out as `Authorization: Bearer`, and where a browser cannot do that, on the WebSocket,
 * as `?token=`; `metadata` is the body of the start, or the `request_data` of the offer.
 */
export function pipecatBot(options: PipecatBotOptions = {}): Peer {
  return {
    maxCarriers: 1, // another socket is another bot
    locate: (url, base) => {
      const { protocol, host, pathname } = serverUrl(url, base);
      const scheme = /^(ws|http):$/.test(protocol) ? "http:" : "https:";
      return `${scheme}//${host}${pathname.replace(/\/+$/, "")}`;
    },
    open: (parts) => new Opened(options, parts).channel,
  };
}

/** One session with a bot. */
class Opened {
  readonly channel: StockChannel;
  readonly #runner: Runner;
  #started = NOT_STARTED;

  constructor(
    private readonly own: PipecatBotOptions,
    private readonly parts: PeerParts,
  ) {
    const { url, token, bot, metadataJson } = parts.options;
    if (bot) throw makeError("unsupported", "a Pipecat runner has one bot: leave the name out");
    if (metadataJson && !own.start && !this.#isWebRtc) {
      const reason = "metadata reaches a bot behind a WebSocket through start: true only";
      throw makeError("unsupported", reason);
    }
    const { headers = {}, endpoint = "/api/offer" } = own;
    this.#runner = new Runner({ url, endpoint, token, headers });
    this.channel = new StockChannel({
      parts,
      makeLine: (host) => this.#line(host),
      start: (signal) => this.#start(signal),
    });
  }

  get #isWebRtc(): boolean {
    return this.parts.options.carriers[0] === "webrtc";
  }

  #line(host: LineHost): Line {
    const { options, host: session } = this.parts;
    const { resume, metadataJson } = options;
    if (!this.#isWebRtc) {
      return new FrameLine({ host, gate: session.gate, dialMs: DIAL_MS, url: () => this.#wsUrl() });
    }
    const requestData = metadataJson && !this.own.start ? JSON.parse(metadataJson) : undefined;
    return new ChatLine({ host, runner: this.#runner, resume, requestData });
  }

  async #start(signal: AbortSignal): Promise<Started> {
    const { start = false } = this.own;
    if (start === false) return NOT_STARTED;
    const asked = startBody(start, this.#isWebRtc, this.parts.options);
    this.#started = await this.#runner.start(asked, signal);
    return this.#started;
  }

  #wsUrl(): string {
    const { url, token } = this.parts.options;
    const { endpoint = "/ws-client" } = this.own;
    const { wsUrl } = this.#started;
    const place = wsUrl
      ? socketUrl(wsUrl, url)
      : asWebSocket(`${url}/${endpoint.replace(/^\//, "")}`);
    const socket = new URL(place);
    const credential = this.#started.token || (wsUrl ? "" : token);
    if (credential) socket.searchParams.set("token", credential);
    return socket.href;
  }
}

function startBody(
  start: true | { readonly [member: string]: JsonValue },
  isWebRtc: boolean,
  { metadataJson }: SessionOptions,
): { readonly [member: string]: JsonValue } {
  return {
    transport: isWebRtc ? "webrtc" : "websocket",
    ...(metadataJson && { body: JSON.parse(metadataJson) as JsonValue }),
    ...(start === true ? {} : start),
  };
}
