/** Hears what the page plays: the bot's track, and whatever is connected to a destination. */
import type { Ear } from "./api.js";

const WORKLET = "ear.worklet.js";
const RATE = 4000;
/** Of the contexts that are made here; a multiple of the ear's rate. */
const CONTEXT_RATE = 24_000;
/** Below it is silence, as Opus leaves it. */
const QUIET = 0.003;

const heard: Float32Array[] = [];
const BLOCK = RATE / 50;

function sample(at: number): number {
  return heard[Math.floor(at / BLOCK)]?.[at % BLOCK] ?? 0;
}

const loud = (at: number) => Math.abs(sample(at)) > QUIET;

export const ear: Ear = {
  rate: RATE,
  get length() {
    return heard.length * BLOCK;
  },
  loudFrom(from) {
    for (let at = from; at < this.length; at += 1) if (loud(at)) return at;
    return -1;
  },
  lastLoud() {
    for (let at = this.length - 1; at >= 0; at -= 1) if (loud(at)) return at;
    return -1;
  },
  silentFrom(from, ms) {
    const wanted = (ms * RATE) / 1000;
    let since = from;
    for (let at = from; at < this.length; at += 1) {
      if (loud(at)) since = at + 1;
      else if (at - since + 1 >= wanted) return since;
    }
    return -1;
  },
  before(end, count) {
    const first = Math.max(0, end - count);
    return Array.from({ length: end - first }, (_, index) => sample(first + index));
  },
};

const ready = new WeakMap<BaseAudioContext, Promise<void>>();
const nodes = new WeakMap<BaseAudioContext, AudioNode>();
const connect = AudioNode.prototype.connect as (node: AudioNode, ...more: number[]) => AudioNode;
/** The one context that is heard: a page has one player. */
let heardContext: BaseAudioContext | undefined;

function load(context: AudioContext): Promise<void> {
  const loading = ready.get(context) ?? context.audioWorklet.addModule(WORKLET);
  ready.set(context, loading);
  return loading;
}

function nodeOf(context: BaseAudioContext): AudioNode {
  const known = nodes.get(context);
  if (known) return known;
  const node = new AudioWorkletNode(context, "ear");
  node.port.onmessage = ({ data }: MessageEvent<Float32Array>) => heard.push(data);
  nodes.set(context, node);
  heardContext = context;
  return node;
}

/** Hears a track of the bot, and plays it as a page does. */
export async function hearTrack(track: MediaStreamTrack): Promise<void> {
  const stream = new MediaStream([track]);
  const element = new Audio();
  element.srcObject = stream;
  void element.play();
  const context =
    (heardContext as AudioContext | undefined) ?? new Plain({ sampleRate: CONTEXT_RATE });
  await load(context);
  connect.call(new MediaStreamAudioSourceNode(context, { mediaStream: stream }), nodeOf(context));
}

const Plain = globalThis.AudioContext;

/** Contexts of Pipecat's player: what they play is heard before it gets to the loudspeaker. */
globalThis.AudioContext = class extends Plain {
  constructor(options?: AudioContextOptions) {
    super(options);
    void load(this);
  }
};

AudioNode.prototype.connect = function (this: AudioNode, ...to: [AudioNode, ...number[]]) {
  const { context } = this;
  if (to[0] instanceof AudioDestinationNode) {
    void ready.get(context)?.then(() => connect.call(this, nodeOf(context)));
  }
  return connect.apply(this, to);
} as typeof AudioNode.prototype.connect;
