/** Counts what a page holds; imported first, before anything can be held. Weakly: it keeps nothing. */

interface Held {
  readonly contexts: number;
  readonly tracks: number;
  readonly connections: number;
  readonly sockets: number;
  readonly timers: number;
  readonly listeners: number;
}

const contexts: WeakRef<AudioContext>[] = [];
const tracks: WeakRef<MediaStreamTrack>[] = [];
const connections: WeakRef<RTCPeerConnection>[] = [];
const sockets: WeakRef<WebSocket>[] = [];
const timers = new Set<unknown>();
let listeners = 0;

/** What went wrong without anybody to catch it, and what the page's policy forbade. */
export const troubles: string[] = [];

globalThis.AudioContext = class extends AudioContext {
  constructor(options?: AudioContextOptions) {
    super(options);
    contexts.push(new WeakRef(this));
  }
};

globalThis.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(configuration?: RTCConfiguration) {
    super(configuration);
    connections.push(new WeakRef(this));
  }
};

globalThis.WebSocket = class extends WebSocket {
  constructor(url: string | URL, protocols?: string | string[]) {
    super(url, protocols);
    sockets.push(new WeakRef(this));
  }
};

const devices: MediaDevices | undefined = navigator.mediaDevices;
if (devices) {
  const open = devices.getUserMedia.bind(devices);
  devices.getUserMedia = async (constraints) => {
    const stream = await open(constraints);
    for (const track of stream.getTracks()) tracks.push(new WeakRef(track));
    return stream;
  };
}

/** Timers that are waiting. */
function countTimers(
  repeated: "setTimeout" | "setInterval",
  end: "clearTimeout" | "clearInterval",
) {
  const set = globalThis[repeated].bind(globalThis) as (fn: () => void, ms?: number) => number;
  const clear = globalThis[end].bind(globalThis);
  const counted = (fn: () => void, ms?: number) => {
    const id = set(() => {
      if (repeated === "setTimeout") timers.delete(id);
      fn();
    }, ms);
    timers.add(id);
    return id;
  };
  const ended = (id?: number) => {
    timers.delete(id);
    clear(id);
  };
  Object.assign(globalThis, { [repeated]: counted, [end]: ended });
}
countTimers("setTimeout", "clearTimeout");
countTimers("setInterval", "clearInterval");

/** Listeners of clients on what outlives them; the tests' driver has some of its own. */
const WATCHED = ["online", "devicechange"];
for (const target of devices ? [window, devices] : [window]) {
  const add = target.addEventListener.bind(target) as EventTarget["addEventListener"];
  const remove = target.removeEventListener.bind(target) as EventTarget["removeEventListener"];
  target.addEventListener = (...given: Parameters<typeof add>) => {
    if (WATCHED.includes(given[0])) listeners += 1;
    add(...given);
  };
  target.removeEventListener = (...given: Parameters<typeof remove>) => {
    if (WATCHED.includes(given[0])) listeners -= 1;
    remove(...given);
  };
}

function alive<T extends object>(refs: WeakRef<T>[], test: (one: T) => boolean): number {
  return refs.filter((ref) => {
    const one = ref.deref();
    return one !== undefined && test(one);
  }).length;
}

export function held(): Held {
  return {
    contexts: alive(contexts, ({ state }) => state !== "closed"),
    tracks: alive(tracks, ({ readyState }) => readyState === "live"),
    connections: alive(connections, ({ connectionState }) => connectionState !== "closed"),
    // one that closes is out of the page's hands: the browser waits for the other side's answer
    sockets: alive(sockets, ({ readyState }) => readyState < WebSocket.CLOSING),
    timers: timers.size,
    listeners,
  };
}

EventTarget.prototype.addEventListener.call(window, "error", (event) => {
  troubles.push(`error: ${(event as ErrorEvent).message}`);
});
EventTarget.prototype.addEventListener.call(window, "unhandledrejection", (event) => {
  troubles.push(`unhandled: ${String((event as PromiseRejectionEvent).reason)}`);
});
EventTarget.prototype.addEventListener.call(document, "securitypolicyviolation", (event) => {
  const { violatedDirective, blockedURI } = event as SecurityPolicyViolationEvent;
  troubles.push(`policy: ${violatedDirective} ${blockedURI}`);
});
