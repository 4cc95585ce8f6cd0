/**
 * Notices a microphone that gives nothing but zeros: one that is unplugged behind its adapter, off
 * at the device, or held by another program. A room is never that silent; what takes noise out may
 * be, for a while.
 */

/** Counted in looks, not by the clock: a stall of this page is no silence. */
const LOOK_MS = 500;
/** Looks at zeros: before the first sound, and after it. */
const DEAD_LOOKS = 10;
const QUIET_LOOKS = 60;

export class ZeroWatch {
  #timer: ReturnType<typeof setInterval> | undefined;
  #zeros = 0;
  #sounded = false;

  /** @param loudest - The loudest sample since a moment, 0 … 1; undefined while nothing runs.
   * @param tell - Called with true when it is dead, with false when it is not any more. */
  constructor(
    private readonly loudest: () => number | undefined,
    private readonly tell: (dead: boolean) => void,
  ) {}

  /** Begins anew, with another track. */
  start(): void {
    this.stop();
    this.#zeros = 0;
    this.#sounded = false;
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const level = this.loudest();
    if (level === undefined) return;
    const limit = this.#sounded ? QUIET_LOOKS : DEAD_LOOKS;
    if (level > 0) {
      if (this.#zeros >= limit) this.tell(false);
      this.#zeros = 0;
      this.#sounded = true;
    } else {
      this.#zeros += 1;
      if (this.#zeros === limit) this.tell(true);
    }
  }
}
