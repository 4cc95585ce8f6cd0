/** A page as Pipecat's users write it: `PipecatClient` over one of its transports, unmodified. */

import { PipecatClient, type RTVIEventCallbacks } from "@pipecat-ai/client-js";
import {
  WavMediaManager as RtcMedia,
  SmallWebRTCTransport,
} from "@pipecat-ai/small-webrtc-transport";
import {
  WavMediaManager as SocketMedia,
  WebSocketTransport,
} from "@pipecat-ai/websocket-transport";
import type { Noted, StockPage, Transport, Way } from "./api.js";
import { ear, hearTrack } from "./ear.js";
import { say } from "./microphone.js";

const CALLBACKS = [
  ..."onConnected onDisconnected onError onMessageError onTransportStateChanged".split(" "),
  ..."onBotStarted onBotConnected onBotReady onBotDisconnected onServerMessage".split(" "),
  ..."onUserStartedSpeaking onUserStoppedSpeaking onUserTranscript onUserLlmText".split(" "),
  ..."onBotStartedSpeaking onBotStoppedSpeaking onBotOutput onMetrics".split(" "),
  ..."onBotLlmStarted onBotLlmText onBotLlmStopped".split(" "),
  ..."onBotTtsStarted onBotTtsText onBotTtsStopped".split(" "),
  ..."onLLMFunctionCallStarted onLLMFunctionCallInProgress onLLMFunctionCallStopped".split(" "),
];
/** Samples that the WebSocket transport sends at a time, in bytes, and their rate. */
const CHUNK_BYTES = 512;
const SOCKET_RATE = 16_000;
const REQUEST_MS = 60_000;

const events: Noted[] = [];
const calls: unknown[] = [];
let client: PipecatClient;

function callbacks(): RTVIEventCallbacks {
  const noting = (type: string) => (data: unknown) => {
    events.push({ type, data, at: ear.length });
  };
  return {
    ...Object.fromEntries(CALLBACKS.map((type) => [type, noting(type)])),
    onTrackStarted: (track, participant) => {
      if (!participant?.local && track.kind === "audio") void hearTrack(track);
    },
  };
}

function make(transport: Transport): PipecatClient {
  // the default media manager loads code from elsewhere
  const carrier =
    transport === "webrtc"
      ? new SmallWebRTCTransport({ mediaManager: new RtcMedia() })
      : new WebSocketTransport({ mediaManager: new SocketMedia(CHUNK_BYTES, SOCKET_RATE) });
  const made = new PipecatClient({ transport: carrier, enableMic: true, callbacks: callbacks() });
  made.registerFunctionCallHandler("show_on_map", async ({ arguments: given }) => {
    calls.push(given);
    return `${given.place}, pinned by the page`;
  });
  return made;
}

async function open(transport: Transport, way: Way): Promise<void> {
  client = make(transport);
  const { endpoint, token, asked } = way;
  const headers = new Headers(token ? { Authorization: `Bearer ${token}` } : {});
  if (way.how === "start") {
    const requestData = { transport, ...(asked && { body: asked }) };
    await client.startBotAndConnect({ endpoint, headers, requestData });
  } else if (transport === "webrtc") {
    const requestData = asked && { requestData: asked };
    await client.connect({ webrtcRequestParams: { endpoint, headers, ...requestData } });
  } else {
    const body = asked && `?body=${encodeURIComponent(btoa(JSON.stringify(asked)))}`;
    await client.connect({ wsUrl: `${endpoint}${body ?? ""}`, ...(token && { token }) });
  }
}

const of = (type: string) => events.filter((one) => one.type === type).map(({ data }) => data);

const page: StockPage = {
  events,
  calls,
  ear,
  open,
  say,
  of,
  sendText: (text, options) => client.sendText(text, options),
  sendMessage: (type, data) => client.sendClientMessage(type, data),
  request: (type, data) => client.sendClientRequest(type, data, REQUEST_MS),
  disconnect: () => client.disconnect(),
  disconnectBot: () => client.disconnectBot(),
  state: () => client.state,
  spoken: (from = 0) => {
    const told = events.slice(from).filter(({ type }) => type === "onBotTtsText");
    return told.map(({ data }) => data.text).join(" ");
  },
};
window.stock = page;
