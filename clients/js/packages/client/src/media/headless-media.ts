/** Media without a page: audio on the control channel, devices that are not there. */
import { codeFromWire, makeError, type VoxwireError, wire } from "@voxwire/protocol";
import type { DeviceState, Devices, DevicesState, Microphone, Quality } from "../api.js";
import type { Environment } from "../core/environment.js";
import type { CarrierName, Media, MediaHost, MediaPath, PathOptions, Payload } from "./media.js";
import { Player, type Track } from "./player.js";

/** Rate of the user's audio, and the rate that is asked for the bot's, Hz. */
export const CAPTURE_RATE = 16_000;
export const PLAYOUT_RATE = 24_000;
export const BLOCK_MS = 20;

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

/** The clock and timers of a program, or virtual ones. */
export type Clock = Pick<Environment, "now" | "after">;

export interface HeadlessOptions {
  readonly clock?: Clock;
  sound(pathId: number, changed: () => void, host: MediaHost): Sound;
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

  constructor(private readonly options: HeadlessOptions) {
    this.microphone = options.microphone ?? noMicrophone;
  }

  get positionMs(): number {
    return this.#player?.positionMs ?? 0;
  }

  async start(host: MediaHost): Promise<void> {
    this.#host = host;
    const { clock } = this.options;
    this.#player = new Player({
      now: () => clock?.now() ?? performance.now(),
      ...(clock ? { after: (ms, fn) => clock.after(ms, fn) } : {}),
      emit: (type, event) => host.emit(type, event),
      send: (payload) => host.send(payload),
    });
    await this.options.begin?.(host);
  }

  path(_carrier: CarrierName, { pathId }: PathOptions): MediaPath {
    const host = this.#host;
    if (host === undefined) throw makeError("invalid_state", "the media was not started");
    return new PcmPath(
      pathId,
      this.options.sound(pathId, () => this.changed(), host),
    );
  }

  /** Something has changed in the sound of a path. */
  protected changed(): void {
    this.#player?.update();
  }

  use(path: MediaPath): void {
    if (!(path instanceof PcmPath) || path === this.#path) return;
    const before = this.#path;
    const fromMs = this.positionMs;
    if (before) this.#player?.leave(before.sound);
    before?.close();
    this.#path = path;
    path.sound.start(fromMs);
    this.#player?.follow(path.sound);
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

  async quality(): Promise<Quality> {
    const sound = this.#path?.sound;
    return {
      transport: sound ? "websocket" : "none",
      grade: sound ? "good" : "lost",
      rttMs: undefined,
      jitterMs: undefined,
      loss: undefined,
      bufferedMs: Math.round(sound?.bufferedMs ?? 0),
      concealedMs: Math.round(sound?.concealedMs ?? 0),
    };
  }

  setVolume(_volume: number): void {}

  async resumeAudio(): Promise<void> {}

  async stop(): Promise<void> {
    this.#player?.close();
    this.#path?.close();
    this.#host = this.#player = this.#path = undefined;
    await this.options.end?.();
  }
}

/** Audio as `AudioChunk` messages on the control channel, which is not this path's to break. */
export class PcmPath implements MediaPath {
  readonly carrier: CarrierName = "websocket";
  readonly trouble: VoxwireError | undefined;
  readonly ready: Promise<void>;
  readonly lost: Promise<VoxwireError>;
  #rate = PLAYOUT_RATE;
  #settle: { ready(): void; refuse(error: VoxwireError): void } = { ready() {}, refuse() {} };
  #lose: (error: VoxwireError) => void = () => {};

  constructor(
    readonly pathId: number,
    readonly sound: Sound,
  ) {
    this.ready = new Promise((resolve, reject) => {
      this.#settle = { ready: resolve, refuse: reject };
    });
    this.ready.catch(() => {});
    this.lost = new Promise((resolve) => {
      this.#lose = resolve;
    });
  }

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
        this.#settle.ready();
        return;
      case "pathClose": {
        const { code, reason } = payload.value;
        const known = code ? codeFromWire(code) : "unsupported";
        const error = makeError(known, reason || "the server gave the media path up");
        this.#settle.refuse(error);
        this.#lose(error);
        return;
      }
      case "audio": {
        const { trackId, sampleIndex, data } = payload.value;
        if (trackId === 0) this.sound.push(Number(sampleIndex), data, this.#rate);
      }
    }
  }

  doubt(): void {}
  drop(): void {}

  close(): void {
    this.sound.stop();
  }
}
