import { makeError, type VoxwireError, type wire } from "@voxwire/protocol";
import type { DeviceKind, DeviceState, Devices, DevicesState, Levels, Microphone } from "../api.js";
import { Store } from "../core/store.js";
import { type Clock, HeadlessMedia, PcmPath } from "../media/headless-media.js";
import type {
  CarrierName,
  MediaHost,
  MediaPath,
  PathOptions,
  Payload,
  Resent,
} from "../media/media.js";
import { Unheard } from "../media/silent-media.js";

export interface FakeMediaOptions {
  /** Default: both. */
  readonly carriers?: readonly CarrierName[] | undefined;
  /** A `VirtualTime`; the program's own clock when absent. */
  readonly clock?: Clock | undefined;
}

const GRANTED: DeviceState = {
  state: "granted",
  enabled: true,
  selected: { id: "fake-1", label: "Fake 1" },
  available: [
    { id: "fake-1", label: "Fake 1" },
    { id: "fake-2", label: "Fake 2" },
  ],
};
const UNUSED: DeviceState = { state: "uninitialized", enabled: false, available: [] };

/** Media of a test: it hears nothing, plays to nobody in (virtual) time, and fails on demand.
 * Give it to `createClient` as `media: () => media`. */
export class FakeMedia extends HeadlessMedia {
  override readonly carriers: readonly CarrierName[];
  override readonly devices: Devices;
  override readonly microphone: Microphone;
  /** What `start` does: an error is thrown, a promise is waited for. */
  onStart: ((host: MediaHost) => void | Promise<void>) | undefined;
  /** Carriers whose paths never become ready, and those that fail at once. */
  readonly stuck = new Set<CarrierName>();
  readonly failing = new Map<CarrierName, VoxwireError>();
  level: Levels = { microphone: 0, bot: 0 };
  volume = 1;
  resumed = 0;
  /** Sessions that have begun and have not been stopped: 0 or 1. */
  started = 0;
  /** Paths that were made and not closed. */
  readonly paths = new Set<FakePath>();
  /** Everything that `receive` was given. */
  readonly received: Payload[] = [];
  readonly #store: Store<DevicesState>;
  readonly #clock: Clock | undefined;
  #path: FakePath | undefined;

  constructor({ carriers = ["webrtc", "websocket"], clock }: FakeMediaOptions = {}) {
    super({
      ...(clock ? { clock } : {}),
      sound: (pathId, changed) => new Unheard(pathId, changed, clock),
    });
    this.carriers = carriers;
    this.#clock = clock;
    this.#store = new Store<DevicesState>(
      { microphone: GRANTED, camera: UNUSED, speaker: GRANTED, screen: UNUSED },
      () => {},
    );
    const store = this.#store;
    this.devices = {
      get: store.get,
      subscribe: store.subscribe,
      refresh: async () => store.get(),
      select: async (kind, deviceId) => {
        const selected = store.get()[kind].available.find(({ id }) => id === deviceId);
        if (!selected) throw makeError("device", `there is no such ${kind}`);
        this.setDevice(kind, { selected });
      },
    };
    this.microphone = microphone(this);
  }

  /** The path in use. */
  get current(): FakePath | undefined {
    return this.#path;
  }

  setDevice(kind: DeviceKind, change: Partial<DeviceState>): void {
    const devices = this.#store.get();
    this.#store.set({ ...devices, [kind]: { ...devices[kind], ...change } });
  }

  override async start(host: MediaHost): Promise<void> {
    this.started += 1;
    await super.start(host);
    await this.onStart?.(host);
  }

  override path(carrier: CarrierName, { pathId }: PathOptions): MediaPath {
    const sound = new Unheard(pathId, () => this.changed(), this.#clock);
    const path = new FakePath(carrier, pathId, sound, this);
    this.paths.add(path);
    return path;
  }

  override use(path: MediaPath): Resent {
    this.#path = path as FakePath;
    return super.use(path);
  }

  override receive(payload: Payload): void {
    this.received.push(payload);
    super.receive(payload);
  }

  override levels(): Levels {
    return this.level;
  }

  override setVolume(volume: number): void {
    this.volume = volume;
  }

  override async resumeAudio(): Promise<void> {
    this.resumed += 1;
    this.onPlaybackBlocked?.(false);
  }

  /** The page may not sound until `resumeAudio`. */
  blockPlayback(): void {
    this.onPlaybackBlocked?.(true);
  }

  override async stop(): Promise<void> {
    this.started = 0;
    await super.stop();
    for (const path of [...this.paths]) path.close();
    this.#path = undefined;
  }
}

/** A path whose ICE a test has in its hand. */
export class FakePath extends PcmPath {
  override readonly lost: Promise<VoxwireError>;
  override readonly carrier: CarrierName;
  doubted = 0;
  #lose: (error: VoxwireError) => void = () => {};

  constructor(
    carrier: CarrierName,
    pathId: number,
    sound: Unheard,
    private readonly media: FakeMedia,
  ) {
    super(pathId, sound);
    this.carrier = carrier;
    this.lost = new Promise((resolve) => {
      this.#lose = resolve;
    });
  }

  override async offer(): Promise<wire.PathOpen> {
    const open = await super.offer();
    const error = this.media.failing.get(this.carrier);
    if (error) throw error;
    return this.carrier === "webrtc" ? { ...open, carrier: 2, sdpOffer: "v=0" } : open;
  }

  override receive(payload: Payload): void {
    if (payload.case === "pathReady" && this.media.stuck.has(this.carrier)) return;
    super.receive(payload);
  }

  /** ICE is lost. */
  lose(error = makeError("ice_failed", "no candidate pair is left", { retryable: true })): void {
    this.#lose(error);
  }

  override doubt(): void {
    this.doubted += 1;
  }

  override drop(): void {
    this.lose();
  }

  override close(): void {
    this.media.paths.delete(this);
    super.close();
  }
}

function microphone(media: FakeMedia): Microphone {
  const set = (enabled: boolean) => media.setDevice("microphone", { enabled });
  return {
    get enabled() {
      return media.devices.get().microphone.enabled;
    },
    setEnabled: async (enabled) => set(enabled),
    hold() {
      set(true);
      return () => set(false);
    },
  };
}

/** Media of a test. */
export function fakeMedia(options?: FakeMediaOptions): FakeMedia {
  return new FakeMedia(options);
}
