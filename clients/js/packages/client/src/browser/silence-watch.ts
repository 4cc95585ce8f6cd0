/**
 * Notices that a connection brings nothing any more. The bot's track sends silence too, so that
 * no packet means no network; ICE itself takes 5 s and more to say so.
 */

/** Counted in looks, not by the clock: a stall of this page is no silence. */
const LOOK_MS = 250;
/** Looks without a packet. */
const SILENT_LOOKS = 4;
/** For a bot that greets whoever comes back, as stock ones do: a stall of its own is none. */
export const PATIENT_LOOKS = 20;
const DOUBTED_LOOKS = 2;

export class SilenceWatch {
  readonly #packets: () => Promise<number>;
  readonly #onSilent: () => void;
  #timer: ReturnType<typeof setInterval> | undefined;
  #silentLooks = 0;
  #received = false;
  #doubted = false;
  #timestamp: number | undefined;
  #count: number | undefined;

  /**
   * @param packets Number of packets received so far; asked only when nothing is seen to play.
   * @param onSilent Called once.
   * @param silentLooks Looks without a packet until then.
   */
  constructor(
    packets: () => Promise<number>,
    onSilent: () => void,
    private readonly silentLooks = SILENT_LOOKS,
  ) {
    this.#packets = packets;
    this.#onSilent = onSilent;
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.#look(), LOOK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** A packet with this timestamp plays. */
  saw(rtpTimestamp: number): void {
    if (rtpTimestamp !== this.#timestamp) this.#received = true;
    this.#timestamp = rtpTimestamp;
  }

  /** There is another reason to think so: be quicker. */
  doubt(): void {
    this.#doubted = true;
    this.#received = false;
    this.#silentLooks = 0;
  }

  async #look(): Promise<void> {
    if (!this.#received) {
      const count = await this.#packets();
      this.#received ||= this.#count !== undefined && count > this.#count;
      this.#count = count;
    }
    this.#silentLooks = this.#received ? 0 : this.#silentLooks + 1;
    this.#doubted &&= !this.#received;
    this.#received = false;
    if (this.#timer && this.#silentLooks >= (this.#doubted ? DOUBTED_LOOKS : this.silentLooks)) {
      this.stop();
      this.#onSilent();
    }
  }
}
