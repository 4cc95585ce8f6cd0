/** The bot's voice of a WebSocket path: the playout buffer on the audio thread. */
import { PlayoutRenderer } from "../media/playout-renderer.js";
import { scope } from "./global.js";
import {
  type FromPlayout,
  PLAYOUT_PROCESSOR,
  type PlayoutOptions,
  type ToPlayout,
} from "./messages.js";

class PlayoutProcessor extends scope.AudioWorkletProcessor {
  readonly #renderer: PlayoutRenderer;
  #stopped = false;

  constructor(options: { readonly processorOptions: PlayoutOptions }) {
    super();
    const { sampleRate, targetMs } = options.processorOptions;
    this.#renderer = new PlayoutRenderer({ sampleRate, targetMs, outputRate: scope.sampleRate });
    this.port.onmessage = (event: MessageEvent<ToPlayout>) => this.#receive(event.data);
  }

  process(_inputs: unknown, outputs: readonly (readonly Float32Array[])[]): boolean {
    const [first, ...others] = outputs[0] ?? [];
    if (!first || this.#stopped) return !this.#stopped;
    const facts = this.#renderer.render(first, scope.currentFrame);
    for (const channel of others) channel.set(first);
    if (facts) this.#tell({ type: "facts", facts });
    return true;
  }

  #receive(message: ToPlayout): void {
    if (message.type === "push") {
      this.#renderer.buffer.push(message.position, message.samples);
    } else if (message.type === "flush") {
      const position = this.#renderer.flush(message.until);
      this.#tell({ type: "flushed", id: message.id, position });
    } else {
      this.#stopped = true;
    }
  }

  #tell(message: FromPlayout): void {
    this.port.postMessage(message);
  }
}

scope.registerProcessor(PLAYOUT_PROCESSOR, PlayoutProcessor);
