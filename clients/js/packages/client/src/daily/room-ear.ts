/** Listens to what a room plays: blocks of its sound, each with the moment at which it sounds. */
import type { AudioGraph } from "../browser/audio-graph.js";
import { CAPTURE_PROCESSOR, type CaptureOptions, type FromCapture } from "../worklets/messages.js";

/** Of the blocks, Hz: beginnings of sounds are all that is looked for. */
const EAR_RATE = 16_000;
const BLOCK_SAMPLES = EAR_RATE / 50;

export class RoomEar {
  #node: AudioWorkletNode | undefined;
  #source: AudioNode | undefined;
  #closed = false;

  constructor(
    private readonly graph: AudioGraph,
    private readonly take: (samples: Int16Array, sampleRate: number, atMs: number) => void,
  ) {}

  /** Loads the worklet, which is the microphone's. */
  async load(): Promise<void> {
    await this.graph.load("capture");
  }

  /** Listens from now on; `load` came before. */
  listen(source: AudioNode): void {
    if (this.#closed) return;
    const { context, clock } = this.graph;
    const processorOptions: CaptureOptions = { sampleRate: EAR_RATE, blockSamples: BLOCK_SAMPLES };
    const node = new AudioWorkletNode(context, CAPTURE_PROCESSOR, {
      numberOfInputs: 1,
      numberOfOutputs: 0,
      processorOptions,
    });
    node.port.onmessage = ({ data }: MessageEvent<FromCapture>) => {
      clock.observe();
      const endMs = clock.msOf(data.frame / context.sampleRate);
      this.take(data.samples, EAR_RATE, endMs - (data.samples.length * 1000) / EAR_RATE);
    };
    source.connect(node);
    this.#node = node;
    this.#source = source;
  }

  close(): void {
    this.#closed = true;
    const node = this.#node;
    this.#node = undefined;
    if (!node) return;
    node.port.postMessage({ type: "stop" });
    // connected until it has ended: what nobody pulls does not end
    node.port.onmessage = null;
    node.port.close();
    this.#source?.disconnect(node);
  }
}
