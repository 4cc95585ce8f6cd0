/** A path through a Daily room, with a stub of daily-js and of the page's sound. */
import * as wire from "@voxwire/protocol/wire";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { AudioGraph } from "../browser/audio-graph.js";
import type { DailyCall, DailyEvent, DailyEventName, DailyModule } from "./daily-js.js";
import { DailyPath } from "./daily-path.js";
import { dailyMedia } from "./index.js";

const URL = "https://x.daily.co/r";
const BOT = { session_id: "b", local: false };

/** A call object that does what a test says. */
class Call implements DailyCall {
  readonly asked: string[] = [];
  readonly handlers = new Map<DailyEventName, (event: DailyEvent) => void>();
  joins: Promise<unknown> = Promise.resolve();
  on(name: DailyEventName, call: (event: DailyEvent) => void) {
    this.handlers.set(name, call);
  }
  async join({ url, token }: { url: string; token: string }) {
    this.asked.push(`join ${url} ${token}`);
    await this.joins;
  }
  async setInputDevicesAsync({ audioSource }: { audioSource: MediaStreamTrack | false }) {
    this.asked.push(`microphone ${audioSource ? audioSource.id : "none"}`);
  }
  async leave() {
    this.asked.push("leave");
  }
  async destroy() {
    this.asked.push("destroy");
  }
  tell(name: DailyEventName, event: DailyEvent = {}) {
    this.handlers.get(name)?.(event);
  }
}

class Node {
  static made: Node[] = [];
  readonly gain = {
    value: 1,
    cancelScheduledValues() {},
    setValueAtTime: (value: number) => {
      this.gain.value = value;
    },
    linearRampToValueAtTime: (value: number) => {
      this.gain.value = value;
    },
  };
  readonly port = {
    onmessage: null as ((event: unknown) => void) | null,
    postMessage() {},
    close() {},
  };
  readonly context = { currentTime: 0 };
  constructor() {
    Node.made.push(this);
  }
  connect(to: unknown) {
    return to;
  }
  disconnect() {}
}

let call: Call;
let options: unknown[];
let graph: AudioGraph;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  Node.made = [];
  for (const name of ["GainNode", "AudioWorkletNode", "MediaStreamAudioSourceNode"]) {
    vi.stubGlobal(name, Node);
  }
  vi.stubGlobal("MediaStream", class {});
  vi.stubGlobal(
    "Audio",
    class {
      async play() {}
      pause() {}
    },
  );
  call = new Call();
  options = [];
  graph = {
    context: { sampleRate: 48_000, currentTime: 0 },
    clock: { observe() {}, msOf: (time: number) => time * 1000, timeOf: (ms: number) => ms / 1000 },
    bot: { fftSize: 8, getFloatTimeDomainData: (out: Float32Array) => out.fill(0) },
    suspended: false,
    load: async () => {},
  } as unknown as AudioGraph;
});

afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function made(load?: () => Promise<DailyModule>): DailyPath {
  const daily: DailyModule = {
    createCallObject(given) {
      options.push(given);
      return call;
    },
  };
  const rest = { pathId: 3, iceServers: [], icePolicy: "all" } as const;
  return new DailyPath({ ...rest, graph, load: load ?? (async () => daily) });
}

function answer(fields: { roomUrl?: string; roomToken?: string } = {}) {
  const value = wire.create(wire.PathAnswerSchema, {
    ...{ pathId: 3, roomUrl: URL, roomToken: "secret" },
    ...fields,
  });
  return { case: "pathAnswer", value } as const;
}

const READY = {
  case: "pathReady",
  value: wire.create(wire.PathReadySchema, { pathId: 3 }),
} as const;

function anchor(mediaMs: number, clockRate = 24_000) {
  const fields = { pathId: 3, mediaMs: BigInt(mediaMs), clockRate, estimated: true };
  return { case: "mediaAnchor", value: wire.create(wire.MediaAnchorSchema, fields) } as const;
}

/** Sound of the room for so long, as its ear hears it. */
async function hear(ms: number, level: number): Promise<void> {
  const ear = Node.made.find((node) => node.port.onmessage);
  for (let at = 0; at < ms; at += 20) {
    await vi.advanceTimersByTimeAsync(20);
    const samples = new Int16Array(320).fill(level);
    ear?.port.onmessage?.({ data: { samples, frame: performance.now() * 48 } });
  }
}

async function entered(path = made()): Promise<DailyPath> {
  await path.offer();
  path.receive(answer());
  path.receive(READY);
  await path.ready;
  path.start(0);
  call.tell("track-started", { participant: BOT, track: { kind: "audio" } as MediaStreamTrack });
  return path;
}

it("asks for a room, enters it, and is ready when the server is", async () => {
  const path = made();
  expect((await path.offer()).carrier).toBe(wire.Carrier.DAILY);
  expect(options).toMatchObject([{ audioSource: false, videoSource: false }]);
  let ready = false;
  path.ready.then(() => {
    ready = true;
  });
  path.receive(answer());
  await vi.advanceTimersByTimeAsync(100);
  expect(call.asked[0]).toBe(`join ${URL} secret`);
  expect(ready).toBe(false);
  path.receive(READY);
  await vi.advanceTimersByTimeAsync(0);
  expect(ready).toBe(true);
  path.close();
  await vi.advanceTimersByTimeAsync(0);
  expect(call.asked.slice(-2)).toEqual(["leave", "destroy"]);
});

it("is a typed error without daily-js", async () => {
  const path = made(async () => {
    throw new Error("not found");
  });
  await expect(path.offer()).rejects.toMatchObject({ code: "missing_extra" });
  path.close();
});

it("has a deadline for entering, and quotes nothing of the room", async () => {
  const path = made();
  await path.offer();
  call.joins = new Promise(() => {});
  path.receive(answer());
  const refused = expect(path.ready).rejects.toMatchObject({ code: "timeout" });
  await vi.advanceTimersByTimeAsync(10_000);
  await refused;
  path.close();
  const other = made();
  await other.offer();
  call.joins = Promise.reject(new Error(`no such room: ${URL}`));
  other.receive(answer());
  await expect(other.ready).rejects.toMatchObject({
    code: "unreachable",
    reason: "the Daily room cannot be entered",
  });
  other.close();
});

it("refuses an answer that names no room", async () => {
  const path = made();
  await path.offer();
  path.receive(answer({ roomToken: "" }));
  await expect(path.ready).rejects.toMatchObject({ code: "unsupported" });
  path.close();
});

it.each([
  ["left-meeting", {}],
  ["error", { errorMsg: "ejected" }],
  ["participant-left", { participant: BOT }],
] as const)("is lost with %s", async (name, event) => {
  const path = await entered();
  call.tell("participant-left", { participant: { session_id: "me", local: true } });
  call.tell(name, event);
  expect((await path.lost).code).toBe("connection_lost");
  path.close();
});

it("takes the microphone along when it changes", async () => {
  const path = await entered();
  path.setTrack({ id: "m1" } as MediaStreamTrack);
  path.setTrack(undefined);
  expect(call.asked.slice(-2)).toEqual(["microphone m1", "microphone none"]);
  path.close();
  path.setTrack({ id: "m2" } as MediaStreamTrack);
  await vi.advanceTimersByTimeAsync(0);
  expect(call.asked).not.toContain("microphone m2");
});

it("counts from the sound that an anchor names", async () => {
  const path = await entered();
  await hear(200, 0);
  path.receive(anchor(1000));
  await hear(100, 0);
  await hear(300, 5000);
  expect(path.positionMs(performance.now())).toBeCloseTo(1300, 3);
  expect(path.reached(performance.now()).soundedMs).toBe(1300);
  path.close();
});

it("falls silent at once on a flush, and sounds again with what is placed behind it", async () => {
  const path = await entered();
  const gate = Node.made[0];
  await hear(200, 0);
  path.receive(anchor(1000));
  await hear(500, 5000);
  path.receive(anchor(1500, 0));
  expect(await path.flush(4000)).toBeCloseTo(1500, 0);
  expect(gate?.gain.value).toBe(0);
  path.receive(anchor(4000));
  await hear(100, 5000); // still on its way
  expect(gate?.gain.value).toBe(0);
  await hear(100, 0);
  expect(gate?.gain.value).toBe(1);
  await hear(200, 5000);
  expect(path.positionMs(performance.now())).toBeCloseTo(4200, 3);
  path.close();
});

it("is no part of auto", async () => {
  vi.stubGlobal("RTCPeerConnection", class {});
  const logger = { debug() {}, info() {}, warn() {}, error() {} };
  const media = dailyMedia({ rememberDevices: false })({ logger });
  expect(media.carriers).toEqual(["webrtc", "websocket", "daily"]);
});
