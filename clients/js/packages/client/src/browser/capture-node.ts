/** The page's microphone as blocks of int16, from when the session begins to open. */
import { BLOCK_MS, CAPTURE_RATE } from "../media/user-audio.js";
import { CAPTURE_PROCESSOR, type CaptureOptions, type FromCapture } from "../worklets/messages.js";
import type { AudioGraph } from "./audio-graph.js";

export class CaptureNode {
  #node: AudioWorkletNode | undefined;
  #closed = false;

  constructor(
    private readonly graph: AudioGraph,
    private readonly take: (samples: Int16Array) => void,
  ) {}

  /** Loads the worklet and captures from then on; may be called again. */
  async start(): Promise<void> {
    await this.graph.load("capture");
    if (this.#node || this.#closed) return;
    const blockSamples = (CAPTURE_RATE * BLOCK_MS) / 1000;
    const processorOptions: CaptureOptions = { sampleRate: CAPTURE_RATE, blockSamples };
    this.#node = new AudioWorkletNode(this.graph.context, CAPTURE_PROCESSOR, {
      numberOfInputs: 1,
      numberOfOutputs: 0,
      processorOptions,
    });
    this.#node.port.onmessage = (event: MessageEvent<FromCapture>) => this.take(event.data.samples);
    this.graph.input.connect(this.#node);
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
    this.graph.input.disconnect(node);
  }
}
