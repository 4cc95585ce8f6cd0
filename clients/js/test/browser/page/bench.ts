/** A client in a page, with a tap on its output: `timing.mjs` drives it and reads what it noted. */
import { createClient } from "../../../packages/client/src/create-client.js";
import type { Client } from "../../../packages/client/src/index.js";

interface Noted {
  readonly type: string;
  readonly event: unknown;
  /** `performance.now()` and the context's time, at the moment that the listener was called. */
  readonly atMs: number;
  readonly contextTime: number;
}

const events: Noted[] = [];
const sounds: [number, number][] = [];
/** How far the context's time is behind `performance.now()`: where it is rendered, and heard. */
const rendered: number[] = [];
const heard: number[] = [];
let client: Client | undefined;
let context: AudioContext | undefined;

const logged: string[] = [];
let blocked: boolean | undefined;
/** Blocks of the user's audio that went out, and how loud the loudest sample was. */
const sent = { blocks: 0, peak: 0 };

function count(data: Uint8Array): void {
  const samples = new Int16Array(data.slice().buffer);
  sent.blocks += 1;
  for (const sample of samples) sent.peak = Math.max(sent.peak, Math.abs(sample));
}

async function open(transport: "webrtc" | "websocket", microphone: boolean): Promise<void> {
  const note = (message: string, fields?: object) => {
    logged.push(`${message} ${JSON.stringify(fields ?? {})}`);
  };
  const made = createClient({
    url: "/",
    transport,
    media: { microphone, workletUrl: "worklets" },
    logger: { debug: note, info: note, warn: note, error: note },
  });
  client = made;
  const told = ["botWord", "stateChanged", "flushed", "utteranceEnded", "utteranceWords"] as const;
  for (const type of told) {
    made.on(type, (event) => {
      const atMs = performance.now();
      events.push({ type, event, atMs, contextTime: context?.currentTime ?? 0 });
    });
  }
  made.on("ignored", (event) => note("ignored", event));
  made.on("playbackBlocked", (event) => {
    blocked = event.blocked;
  });
  made.on("status", (event) => note("status", event));
  made.tap((direction, { payload }) => {
    if (direction === "out" && payload.case === "audio") count(payload.value.data);
  });
  await made.connect();
  const output = made.output;
  if (!(output?.context instanceof AudioContext)) throw new Error("no output");
  context = output.context;
  await context.audioWorklet.addModule("tap.worklet.js");
  const tap = new AudioWorkletNode(context, "tap", { numberOfOutputs: 0 });
  tap.port.onmessage = ({ data }: MessageEvent<[number, number]>) => {
    sounds.push(data);
    rendered.push(performance.now() - data[0] * 1000);
    const stamp = context?.getOutputTimestamp();
    if (stamp?.contextTime && stamp.performanceTime) {
      heard.push(stamp.performanceTime - stamp.contextTime * 1000);
    }
  };
  output.connect(tap);
}

const bench = {
  open,
  events,
  sounds,
  rendered,
  heard,
  say: (text: string) => client?.sendText(text),
  interrupt: () => client?.interrupt(),
  now: () => performance.now(),
  position: () => client?.positionMs,
  latency: () => [context?.outputLatency, context?.baseLatency, context?.sampleRate],
  quality: () => client?.quality.get(),
  levels: () => client?.levels(),
  devices: () => client?.devices.get(),
  status: () => client?.status.get(),
  logged,
  sent,
  blocked: () => blocked,
  client: () => client,
  close: () => client?.disconnect(),
};
declare global {
  interface Window {
    bench: typeof bench;
  }
}
window.bench = bench;

// What a script of the browser asks for counts as a user's act; an address does not.
if (new URLSearchParams(location.search).has("silent")) {
  open("websocket", false).catch((error) => logged.push(String(error)));
}
