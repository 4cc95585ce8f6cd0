/** A microphone that says what a test tells it to, when it does, and is silent otherwise. */

/** That of the page, not the counted one of counting.ts: it outlives every session. */
const Context: typeof AudioContext = Object.getPrototypeOf(globalThis.AudioContext);

export class Mouth {
  readonly #context = new Context();
  readonly #microphone = new MediaStreamAudioDestinationNode(this.#context, { channelCount: 1 });

  /** Takes the place of the page's microphone from now on. */
  constructor() {
    const silence = new ConstantSourceNode(this.#context, { offset: 0 });
    silence.connect(this.#microphone);
    silence.start();
    navigator.mediaDevices.getUserMedia = async () => this.#microphone.stream.clone();
  }

  /** Says what is in a file; resolves when it is said. */
  async say(url: string): Promise<void> {
    const answer = await fetch(url);
    const buffer = await this.#context.decodeAudioData(await answer.arrayBuffer());
    const source = new AudioBufferSourceNode(this.#context, { buffer });
    source.connect(this.#microphone);
    await new Promise((resolve) => {
      source.onended = resolve;
      source.start();
    });
  }
}
