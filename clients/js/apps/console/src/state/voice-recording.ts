import type { Client } from "@voxwire/client";
import { wavHeader } from "../save/wav.js";

/** The least rate of a context is divided down to: what the bot's voices have. */
const RATE = 24_000;
const BLOCK_S = 0.1;
export const MAX_RECORDED_S = 600;

/** The sound of the last session as this page sent and played it: the last ten minutes, both voices
 * (left the microphone, right the bot), 16 bits at about 24 kHz: 58 MB at most. */
export class VoiceRecording {
  #context: BaseAudioContext | undefined;
  #node: AudioWorkletNode | undefined;
  #input: AudioNode | undefined;
  #blocks: Int16Array<ArrayBuffer>[] = [];
  #samples = 0;
  #rate = RATE;

  /** Follows the client's sound; to be called some times a second while a session is up. */
  look({ input, output }: Pick<Client, "input" | "output">): void {
    if (output !== undefined && output.context !== this.#context) void this.#begin(output);
    if (this.#node === undefined || input === this.#input) return;
    try {
      this.#input?.disconnect(this.#node);
    } catch {
      // the client has taken it apart already
    }
    this.#input = input?.context === this.#context ? input : undefined;
    this.#input?.connect(this.#node, 0, 0);
  }

  /** The session is over: what was recorded stays until the next. */
  end(): void {
    this.#node?.port.postMessage("end");
    this.#node = undefined;
    this.#input = undefined;
  }

  /** Seconds that are kept. */
  get lengthS(): number {
    return this.#samples / 2 / this.#rate;
  }

  /** A WAV file of it. */
  wav(): Blob {
    const header = wavHeader(this.#samples * 2, { rate: this.#rate, channels: 2 });
    return new Blob([header, ...this.#blocks], { type: "audio/wav" });
  }

  async #begin(output: AudioNode): Promise<void> {
    const { context } = output;
    this.#context = context;
    this.#blocks = [];
    this.#samples = 0;
    this.#input = undefined;
    const factor = Math.max(1, Math.round(context.sampleRate / RATE));
    this.#rate = Math.round(context.sampleRate / factor);
    try {
      await context.audioWorklet.addModule(new URL("recording.worklet.js", document.baseURI));
      if (this.#context !== context || context.state === "closed") return;
      const node = new AudioWorkletNode(context, "voxwire-recording", {
        numberOfInputs: 2,
        numberOfOutputs: 0,
        channelCount: 1,
        channelCountMode: "explicit",
        processorOptions: { factor, blockFrames: Math.round(this.#rate * BLOCK_S) },
      });
      node.port.onmessage = ({ data }: MessageEvent<Int16Array<ArrayBuffer>>) => {
        if (this.#context === context) this.#keep(data);
      };
      output.connect(node, 0, 1);
      this.#node = node;
    } catch {
      // the session ended meanwhile, or worklets are not to be had: there is nothing to save
    }
  }

  #keep(block: Int16Array<ArrayBuffer>): void {
    this.#blocks.push(block);
    this.#samples += block.length;
    while (this.#samples > MAX_RECORDED_S * this.#rate * 2)
      this.#samples -= this.#blocks.shift()?.length ?? this.#samples;
  }
}
