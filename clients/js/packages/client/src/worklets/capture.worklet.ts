/** The microphone of a WebSocket path: mono int16 blocks at the rate of the wire. */
import { Blocks } from "../media/blocks.js";
import { scope } from "./global.js";
import { CAPTURE_PROCESSOR, type CaptureOptions, type FromCapture } from "./messages.js";

class CaptureProcessor extends scope.AudioWorkletProcessor {
  readonly #blocks: Blocks;
  #mix = new Float32Array(128);
  #stopped = false;

  constructor(options: { readonly processorOptions: CaptureOptions }) {
    super();
    this.#blocks = new Blocks({ ...options.processorOptions, inputRate: scope.sampleRate });
    this.port.onmessage = () => {
      this.#stopped = true;
    };
  }

  process(inputs: readonly (readonly Float32Array[])[]): boolean {
    const channels = inputs[0] ?? [];
    const [first] = channels;
    if (first) {
      for (const samples of this.#blocks.push(this.#mono(channels, first))) {
        const frame = scope.currentFrame + first.length;
        const message: FromCapture = { type: "block", samples, frame };
        this.port.postMessage(message, [samples.buffer]);
      }
    }
    return !this.#stopped;
  }

  #mono(channels: readonly Float32Array[], first: Float32Array): Float32Array {
    if (channels.length === 1) return first;
    if (this.#mix.length !== first.length) this.#mix = new Float32Array(first.length);
    this.#mix.fill(0);
    for (const channel of channels) {
      for (const [index, value] of channel.entries()) {
        this.#mix[index] = (this.#mix[index] ?? 0) + value / channels.length;
      }
    }
    return this.#mix;
  }
}

scope.registerProcessor(CAPTURE_PROCESSOR, CaptureProcessor);
