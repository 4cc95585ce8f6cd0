/** What the tests know of the console from inside: it runs in the page before the page does, so
 * that the product needs no door for tests. */

export interface WordChange {
  readonly index: number;
  readonly text: string;
  readonly state: string;
  readonly atMs: number;
}

export interface Ears {
  /** Peaks by the millisecond, context seconds: what is heard, and what the microphone gave. */
  readonly heard: [number, number][];
  readonly spoken: [number, number][];
  /** `performance.now()` when a peak was told, less its context time, milliseconds. */
  readonly behind: number[];
  /** Changes of words, in order; `index` among all words of the page. */
  readonly words: WordChange[];
  readonly shifts: { readonly atMs: number; readonly value: number; readonly nodes: string[] }[];
  readonly violations: string[];
  readonly tracks: MediaStreamTrack[];
  readonly contexts: Set<BaseAudioContext>;
  readonly connections: RTCPeerConnection[];
}

declare global {
  interface Window {
    ears: Ears;
  }
}

/** Serialised into the page; it must name nothing outside itself. */
export function grow(): void {
  const ears: Ears = {
    heard: [],
    spoken: [],
    behind: [],
    words: [],
    shifts: [],
    violations: [],
    tracks: [],
    contexts: new Set(),
    connections: [],
  };
  window.ears = ears;

  const connect = AudioNode.prototype.connect as (...all: unknown[]) => AudioNode;
  const tap = async (node: AudioNode, peaks: [number, number][]) => {
    const { context } = node;
    await context.audioWorklet.addModule("/page/tap.worklet.js");
    if (context.state === "closed") return;
    const worklet = new AudioWorkletNode(context, "tap", { numberOfOutputs: 0 });
    worklet.port.onmessage = ({ data }: MessageEvent<[number, number]>) => {
      peaks.push(data);
      ears.behind.push(performance.now() - data[0] * 1000);
    };
    connect.call(node, worklet);
  };
  const mine = (node: AudioNode) =>
    node instanceof MediaStreamAudioSourceNode &&
    node.mediaStream.getTracks().some((track) => ears.tracks.includes(track));
  AudioNode.prototype.connect = function (this: AudioNode, ...all: unknown[]) {
    ears.contexts.add(this.context);
    if (all[0] === this.context.destination) void tap(this, ears.heard);
    else if (mine(this)) void tap(this, ears.spoken);
    return connect.apply(this, all);
  } as typeof AudioNode.prototype.connect;

  const { mediaDevices } = navigator;
  const getUserMedia = mediaDevices?.getUserMedia.bind(mediaDevices);
  if (mediaDevices)
    mediaDevices.getUserMedia = async (wish) => {
      const stream = await getUserMedia(wish);
      ears.tracks.push(...stream.getTracks());
      return stream;
    };
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...all: ConstructorParameters<typeof RTCPeerConnection>) {
      super(...all);
      ears.connections.push(this);
    }
  };

  document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
    ears.violations.push(`${violatedDirective} ${blockedURI}`),
  );
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries() as (PerformanceEntry & {
      readonly value: number;
      readonly sources?: readonly { readonly node?: Element }[];
    })[]) {
      const nodes = entry.sources?.map(({ node }) => String(node?.className ?? "")) ?? [];
      ears.shifts.push({ atMs: entry.startTime, value: entry.value, nodes });
    }
  }).observe({ type: "layout-shift", buffered: true });

  const states = new Map<Element, string>();
  const look = () => {
    const atMs = performance.now();
    document.querySelectorAll('[data-testid="word"]').forEach((word, index) => {
      const state = word.getAttribute("data-state") ?? "";
      if (states.get(word) === state) return;
      states.set(word, state);
      ears.words.push({ index, text: word.textContent ?? "", state, atMs });
    });
  };
  new MutationObserver(look).observe(document, {
    subtree: true,
    childList: true,
    attributeFilter: ["data-state"],
  });
}
