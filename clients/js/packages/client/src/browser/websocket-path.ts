/** Audio as `AudioChunk` messages on the control channel; two worklets do the rest. */
import { makeError } from "@voxwire/protocol";
import * as wire from "@voxwire/protocol/wire";
import type { PathOptions, Payload } from "../media/media.js";
import type { PlayoutFacts } from "../media/playout-renderer.js";
import { PositionClock, type Reached } from "../media/position.js";
import { Readiness } from "../media/readiness.js";
import {
  type FromPlayout,
  PLAYOUT_PROCESSOR,
  type PlayoutOptions,
  type ToPlayout,
} from "../worklets/messages.js";
import type { AudioGraph } from "./audio-graph.js";
import type { CaptureNode } from "./capture-node.js";
import { audioFormat, type BrowserPath, CAPTURE_RATE, PLAYOUT_RATE } from "./path.js";

/** Delay that the playout buffer starts with. */
const TARGET_MS = 40;
/** The position runs on by this much while the audio thread says nothing. */
const RUN_ON_MS = 60;
/** Longest wait for the audio thread's answer to a flush; the server waits for 150 ms. */
const FLUSH_MS = 80;
/** Chunks that are kept until the format is known. */
const MAX_EARLY = 250;
const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

export interface WebSocketPathOptions extends PathOptions {
  readonly graph: AudioGraph;
  readonly capture: CaptureNode;
  readonly onChange: () => void;
  /** It carries nothing any more. */
  readonly onGone: () => void;
}

function samplesOf(data: Uint8Array): Int16Array<ArrayBuffer> {
  const copy = new Uint8Array(data.subarray(0, data.length & ~1));
  if (!LITTLE_ENDIAN) {
    const view = new DataView(copy.buffer);
    return Int16Array.from({ length: copy.length / 2 }, (_, at) => view.getInt16(at * 2, true));
  }
  return new Int16Array(copy.buffer);
}

export class WebSocketPath implements BrowserPath {
  readonly carrier = "websocket";
  readonly pathId: number;
  readonly trouble = undefined;
  readyMessage: wire.PathReady | undefined;
  bufferedMs = 0;
  concealedMs = 0;
  readonly #options: WebSocketPathOptions;
  readonly #readiness = new Readiness();
  readonly #clock = new PositionClock(RUN_ON_MS);
  readonly #flushes = new Map<number, (position: number) => void>();
  #flushId = 0;
  #rate = PLAYOUT_RATE;
  #playout: AudioWorkletNode | undefined;
  #early: wire.AudioChunk[] = [];
  #started = false;
  #closed = false;

  constructor(options: WebSocketPathOptions) {
    this.#options = options;
    this.pathId = options.pathId;
  }

  get ready(): Promise<void> {
    return this.#readiness.ready;
  }

  get lost() {
    return this.#readiness.lost;
  }

  get suspended(): boolean {
    return this.#options.graph.suspended;
  }

  async offer(): Promise<wire.PathOpen> {
    const { graph } = this.#options;
    await Promise.all([graph.load("playout"), graph.load("capture")]);
    return wire.create(wire.PathOpenSchema, {
      pathId: this.pathId,
      carrier: wire.Carrier.WEBSOCKET,
      capture: audioFormat(wire.Codec.PCM_S16LE, CAPTURE_RATE),
      playout: audioFormat(wire.Codec.PCM_S16LE, PLAYOUT_RATE),
    });
  }

  receive(payload: Payload): void {
    if (this.#closed) return;
    if (payload.case === "pathAnswer") this.#answer(payload.value);
    else if (payload.case === "pathReady") this.#ready(payload.value);
    else if (payload.case === "pathClose") this.#readiness.refuse(payload.value);
    else if (payload.case === "audio") this.#push(payload.value);
  }

  start(fromMs: number): void {
    const { graph } = this.#options;
    this.#started = true;
    this.#clock.restart(fromMs);
    this.#tell({ type: "flush", id: 0, until: Math.floor((fromMs * this.#rate) / 1000) });
    this.#playout?.connect(graph.bot);
    this.#options.capture.start().catch((error) => this.#readiness.fail(error));
  }

  /** Its audio comes through the graph. */
  setTrack(_track: MediaStreamTrack | undefined): void {}

  positionMs(nowMs: number): number {
    return this.#clock.where(nowMs).positionMs;
  }

  reached(nowMs: number): Reached {
    return this.#clock.reached(nowMs);
  }

  timeOf(mediaMs: number): number | undefined {
    return this.#clock.timeOf(mediaMs);
  }

  sounding(nowMs: number): boolean {
    return this.#clock.where(nowMs).moving;
  }

  async flush(untilMs: number): Promise<number> {
    this.#flushId += 1;
    const id = this.#flushId;
    const until = Math.floor((untilMs * this.#rate) / 1000);
    const guess = Math.max(this.positionMs(performance.now()), 0);
    const stopped = await new Promise<number | undefined>((resolve) => {
      const timer = setTimeout(() => resolve(undefined), FLUSH_MS);
      this.#flushes.set(id, (position) => {
        clearTimeout(timer);
        resolve(position);
      });
      this.#tell({ type: "flush", id, until });
    });
    this.#flushes.delete(id);
    return stopped === undefined ? guess : (stopped * 1000) / this.#rate;
  }

  async stats(): Promise<undefined> {
    return undefined;
  }

  doubt(): void {
    this.#options.onGone();
  }

  /** Nothing of its own to break: the carrier belongs to the session. */
  drop(): void {}

  close(): void {
    this.#closed = true;
    this.#tell({ type: "stop" });
    // connected until it has ended: what nobody pulls does not end
    if (this.#playout) {
      this.#playout.port.onmessage = null;
      this.#playout.port.close();
    }
    this.#playout = undefined;
  }

  #ready(message: wire.PathReady): void {
    this.readyMessage = message;
    this.#readiness.set();
  }

  #answer(message: wire.PathAnswer): void {
    this.#rate = message.playout?.sampleRate || PLAYOUT_RATE;
    if (this.#rate < 8000 || this.#rate > 48_000) {
      const reason = `the server plays at ${this.#rate} Hz; 8-48 kHz work`;
      this.#readiness.fail(makeError("unsupported_format", reason));
      return;
    }
    const { graph } = this.#options;
    const processorOptions: PlayoutOptions = { sampleRate: this.#rate, targetMs: TARGET_MS };
    const node = new AudioWorkletNode(graph.context, PLAYOUT_PROCESSOR, {
      numberOfInputs: 0,
      numberOfOutputs: 1,
      outputChannelCount: [1],
      processorOptions,
    });
    node.port.onmessage = (event: MessageEvent<FromPlayout>) => this.#hear(event.data);
    this.#playout = node;
    if (this.#started) node.connect(graph.bot);
    for (const chunk of this.#early.splice(0)) this.#push(chunk);
  }

  #push(chunk: wire.AudioChunk): void {
    if (chunk.trackId !== 0 || chunk.pathId !== this.pathId) return;
    if (!this.#playout) {
      if (this.#early.length < MAX_EARLY) this.#early.push(chunk);
      return;
    }
    const samples = samplesOf(chunk.data);
    const message: ToPlayout = { type: "push", position: Number(chunk.sampleIndex), samples };
    this.#playout.port.postMessage(message, [samples.buffer]);
  }

  #hear(message: FromPlayout): void {
    if (message.type === "flushed") {
      this.#flushes.get(message.id)?.(message.position);
      return;
    }
    this.#note(message.facts);
    this.#options.onChange();
  }

  #note(facts: PlayoutFacts): void {
    const { clock, context } = this.#options.graph;
    clock.observe();
    this.bufferedMs = facts.bufferedMs;
    this.concealedMs = facts.concealedMs;
    for (const { frame, frames, position, moves } of facts.stretches) {
      this.#clock.note({
        atMs: clock.msOf(frame / context.sampleRate),
        durationMs: (frames * 1000) / context.sampleRate,
        positionMs: (position * 1000) / this.#rate,
        moves,
      });
    }
  }

  #tell(message: ToPlayout): void {
    this.#playout?.port.postMessage(message);
  }
}
