/** A gate in the chain of a stream that cannot be cut by the sample: fades shut, opens on time. */

/** Length of the fade, seconds. */
const FADE_S = 0.01;

export class Gate {
  readonly node: GainNode;

  constructor(context: BaseAudioContext) {
    this.node = new GainNode(context, { gain: 1 });
  }

  /** Fades to silence from now on; returns the context time (seconds) at which it is silent. */
  shut(): number {
    const { gain, context } = this.node;
    const now = context.currentTime;
    gain.cancelScheduledValues(now);
    gain.setValueAtTime(gain.value, now);
    gain.linearRampToValueAtTime(0, now + FADE_S);
    return now + FADE_S;
  }

  /** Lets sound through from a context time on. */
  openAt(time: number): void {
    const { gain, context } = this.node;
    gain.setValueAtTime(1, Math.max(time, context.currentTime));
  }
}
