/** Media without a page: audio on the control channel, devices that are not there. */
import { makeError, type VoxwireError } from "@voxwire/protocol";
import * as wire from "@voxwire/protocol/wire";
import type { DeviceState, Devices, DevicesState, Microphone } from "./devices.js";
import type {
  CarrierName,
  Media,
  MediaHost,
  MediaPath,
  PathOptions,
  Payload,
  Resent,
} from "./media.js";
import { Player, type Track } from "./player.js";
import { type Flow, UNKNOWN } from "./quality.js";
import { Readiness } from "./readiness.js";
import {
  BLOCK_MS,
  CAPTURE_RATE,
  type Clock,
  NOTHING_RESENT,
  Reader,
  UserAudio,
} from "./user-audio.js";

export { BLOCK_MS, CAPTURE_RATE, type Clock };

/** Rate that is asked for the bot's audio, Hz. */
export const PLAYOUT_RATE = 24_000;

const NONE: DeviceState = { state: "uninitialized", enabled: false, available: [] };
const NO_DEVICES: DevicesState = { microphone: NONE, camera: NONE, speaker: NONE, screen: NONE };

export const noDevices: Devices = {
  get: () => NO_DEVICES,
  subscribe: () => () => {},
  refresh: async () => NO_DEVICES,
  async select(kind) {
    throw makeError("device", `this client has no ${kind} to choose`);
  },
};

export const noMicrophone: Microphone = {
  enabled: false,
  setEnabled: async () => {},
  hold: () => () => {},
};

/** Sound of one path, as this media plays it. */
export interface Sound extends Track {
  /** Takes audio of the bot; the position of its first sample and the samples, int16. */
  push(sampleIndex: number, data: Uint8Array, sampleRate: number): void;
  /** Plays from now on; what lies before `fromMs` was heard on another path. */
  start(fromMs: number): void;
  stop(): void;
}

const OWN_CLOCK: Clock = {
  now: () => performance.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, ms);
    return () => clearTimeout(timer);
  },
};

export interface HeadlessOptions {
  readonly clock?: Clock;
  sound(pathId: number, changed: () => void): Sound;
  /** The user's next samples, read in real time from the first path on; undefined = the user is
   * not heard. */
  read?(count: number): Int16Array | undefined;
  readonly microphone?: Microphone;
  begin?(host: MediaHost): Promise<void>;
  end?(): Promise<void>;
}

/** Media that plays into whatever `sound` makes. */
export class HeadlessMedia implements Media {
  readonly carriers: readonly CarrierName[] = ["websocket"];
  readonly devices: Devices = noDevices;
  readonly microphone: Microphone;
  readonly output = undefined;
  readonly input = undefined;
  onPlaybackBlocked: ((blocked: boolean) => void) | undefined;
  #host: MediaHost | undefined;
  #player: Player | undefined;
  #path: PcmPath | undefined;
  #user: UserAudio | undefined;
  #reader: Reader | undefined;

  constructor(private readonly options: HeadlessOptions) {
    this.microphone = options.microphone ?? noMicrophone;
  }

  get positionMs(): number {
    return this.#player?.positionMs ?? 0;
  }

  async start(host: MediaHost): Promise<void> {
    this.#host = host;
    const { clock, read } = this.options;
    if (read) {
      const own = clock ?? OWN_CLOCK;
      const user = new UserAudio(
        (payload) => host.send(payload),
        () => own.now(),
      );
      this.#user = user;
      this.#reader = new Reader(read, (samples, count) => user.capture(samples, count), own);
    }
    this.#player = new Player({
      now: () => clock?.now() ?? performance.now(),
      ...(clock ? { after: (ms, fn) => clock.after(ms, fn) } : {}),
      emit: (type, event) => host.emit(type, event),
      send: (payload) => host.send(payload),
    });
    await this.options.begin?.(host);
  }

  path(_carrier: CarrierName, { pathId }: PathOptions): MediaPath {
    if (this.#host === undefined) throw makeError("invalid_state", "the media was not started");
    const sound = this.options.sound(pathId, () => this.changed());
    return new PcmPath(pathId, sound, () => this.#user?.park(pathId));
  }

  /** Something has changed in the sound of a path. */
  protected changed(): void {
    this.#player?.update();
  }

  use(path: MediaPath): Resent {
    if (!(path instanceof PcmPath) || path === this.#path) return NOTHING_RESENT;
    const before = this.#path;
    const fromMs = this.positionMs;
    if (before) this.#player?.leave(before.sound);
    before?.close();
    this.#path = path;
    path.sound.start(fromMs);
    this.#player?.follow(path.sound);
    const resent = path.readyMessage && this.#user?.resume(path.readyMessage);
    this.#reader?.start();
    return resent ?? NOTHING_RESENT;
  }

  receive(payload: Payload): void {
    this.#player?.receive(payload);
  }

  reset(snapshot?: wire.Snapshot): void {
    this.#player?.reset(snapshot);
  }

  levels() {
    return { microphone: 0, bot: 0 };
  }

  async quality(): Promise<Flow> {
    const sound = this.#path?.sound;
    return {
      ...UNKNOWN,
      transport: sound ? "websocket" : "none",
      lost: !sound,
      bufferedMs: Math.round(sound?.bufferedMs ?? 0),
      concealedMs: Math.round(sound?.concealedMs ?? 0),
    };
  }

  setVolume(_volume: number): void {}

  async resumeAudio(): Promise<void> {}

  async stop(): Promise<void> {
    this.#player?.close();
    this.#path?.close();
    this.#reader?.stop();
    this.#host = this.#player = this.#path = this.#user = this.#reader = undefined;
    await this.options.end?.();
  }
}

/** Audio as `AudioChunk` messages on the control channel, which is not this path's to break. */
export class PcmPath implements MediaPath {
  readonly carrier: CarrierName = "websocket";
  readonly trouble: VoxwireError | undefined;
  readonly #readiness = new Readiness();
  readonly ready: Promise<void> = this.#readiness.ready;
  readonly lost: Promise<VoxwireError> = this.#readiness.lost;
  /** What the server said when it was ready. */
  readyMessage: wire.PathReady | undefined;
  #rate = PLAYOUT_RATE;

  constructor(
    readonly pathId: number,
    readonly sound: Sound,
    private readonly gone: () => void = () => {},
  ) {}

  async offer(): Promise<wire.PathOpen> {
    const format = { codec: wire.Codec.PCM_S16LE, numChannels: 1, blockMs: BLOCK_MS };
    return wire.create(wire.PathOpenSchema, {
      pathId: this.pathId,
      carrier: wire.Carrier.WEBSOCKET,
      capture: { ...format, sampleRate: CAPTURE_RATE },
      playout: { ...format, sampleRate: PLAYOUT_RATE },
    });
  }

  receive(payload: Payload): void {
    switch (payload.case) {
      case "pathAnswer":
        this.#rate = payload.value.playout?.sampleRate || PLAYOUT_RATE;
        return;
      case "pathReady":
        this.readyMessage = payload.value;
        this.#readiness.set();
        return;
      case "pathClose":
        this.#readiness.refuse(payload.value);
        return;
      case "audio": {
        const { trackId, sampleIndex, data } = payload.value;
        if (trackId === 0) this.sound.push(Number(sampleIndex), data, this.#rate);
      }
    }
  }

  doubt(): void {
    this.gone();
  }

  drop(): void {}

  close(): void {
    this.sound.stop();
  }
}
