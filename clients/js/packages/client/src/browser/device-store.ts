/** The state of every device: what there is, what was granted, what is on. */
import type {
  DeviceFailure,
  DeviceInfo,
  DeviceKind,
  DeviceState,
  Devices,
  DevicesState,
  DeviceTrouble,
} from "../api.js";
import { Choices } from "./choices.js";
import { deviceError, deviceFailure, mediaDevices } from "./device-errors.js";

const NOTHING: DeviceState = Object.freeze({
  state: "uninitialized",
  enabled: false,
  available: Object.freeze([]),
});
const KIND_OF: Readonly<Record<MediaDeviceKind, DeviceKind>> = {
  audioinput: "microphone",
  audiooutput: "speaker",
  videoinput: "camera",
};

/** A list of speakers is no use where a page's sound goes where the browser likes. */
const speakersCanBeChosen = () =>
  typeof AudioContext !== "undefined" && "setSinkId" in AudioContext.prototype;

/** Uses another device of one kind. */
export type Selector = (device: DeviceInfo) => Promise<void>;

export class DeviceStore implements Devices {
  readonly choices: Choices;
  readonly #selectors = new Map<DeviceKind, Selector>();
  readonly #listeners = new Set<() => void>();
  #state: DevicesState = Object.freeze({
    microphone: NOTHING,
    camera: NOTHING,
    speaker: NOTHING,
    screen: NOTHING,
  });
  #watched: MediaDevices | undefined;
  #users = 0;
  /** Called when devices came or went, or the system's default is another one. */
  onChange: () => void = () => undefined;
  readonly #onChange = () => {
    this.refresh()
      .then(() => this.onChange())
      .catch(() => undefined);
  };

  constructor(remember: boolean) {
    this.choices = new Choices(remember);
  }

  get(): DevicesState {
    return this.#state;
  }

  subscribe(listener: () => void): () => void {
    const own = () => listener();
    this.#listeners.add(own);
    const release = this.watch();
    return () => {
      if (this.#listeners.delete(own)) release();
    };
  }

  /** Follows devices that come and go until the returned function is called. */
  watch(): () => void {
    this.#users += 1;
    this.#follow();
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#users -= 1;
      this.#follow();
    };
  }

  async refresh(): Promise<DevicesState> {
    const infos = await mediaDevices("microphone")
      .enumerateDevices()
      .catch((error: unknown) => {
        throw deviceError("microphone", deviceFailure(error), error);
      });
    for (const kind of ["microphone", "speaker", "camera"] as const) {
      const available = infos
        .filter((info) => KIND_OF[info.kind] === kind && info.deviceId !== "")
        .filter(() => kind !== "speaker" || speakersCanBeChosen())
        .map((info) => Object.freeze({ id: info.deviceId, label: info.label }));
      this.set(kind, { available: Object.freeze(available) });
    }
    return this.#state;
  }

  async select(kind: "microphone" | "speaker" | "camera", deviceId: string): Promise<void> {
    await this.refresh();
    const device = this.#state[kind].available.find((info) => info.id === deviceId);
    if (!device) throw deviceError(kind, "missing");
    await this.#selectors.get(kind)?.(device);
    this.choices.set(kind, device);
    this.set(kind, { selected: device });
  }

  /** Says how another device of this kind is taken into use. */
  onSelect(kind: DeviceKind, selector: Selector): void {
    this.#selectors.set(kind, selector);
  }

  /** Changes what is known about a device; listeners hear of it only if it is news. */
  set(kind: DeviceKind, change: Partial<DeviceState>): void {
    const before = this.#state[kind];
    const after: DeviceState = Object.freeze({ ...before, ...change });
    if (JSON.stringify(after) === JSON.stringify(before)) return;
    this.#state = Object.freeze({ ...this.#state, [kind]: after });
    for (const listener of [...this.#listeners]) listener();
  }

  /** What is wrong with a device that is in use; undefined = nothing any more. */
  trouble(kind: DeviceKind, trouble: DeviceTrouble | undefined): void {
    const { trouble: before, ...kept } = this.#state[kind];
    if (trouble !== before) this.#replace(kind, { ...kept, ...(trouble ? { trouble } : {}) });
  }

  granted(kind: DeviceKind, selected: DeviceInfo | undefined): void {
    const { reason: _r, error: _e, ...kept } = this.#state[kind];
    const chosen = selected ? { selected: Object.freeze(selected) } : {};
    this.#replace(kind, { ...kept, ...chosen, state: "granted", enabled: true });
  }

  failed(kind: DeviceKind, reason: DeviceFailure, cause?: unknown): ReturnType<typeof deviceError> {
    const error = deviceError(kind, reason, cause);
    this.#replace(kind, { ...this.#state[kind], state: "error", reason, error, enabled: false });
    return error;
  }

  #replace(kind: DeviceKind, state: DeviceState): void {
    this.#state = Object.freeze({ ...this.#state, [kind]: Object.freeze(state) });
    for (const listener of [...this.#listeners]) listener();
  }

  #follow(): void {
    const wanted = this.#users > 0 ? globalThis.navigator?.mediaDevices : undefined;
    if (wanted === this.#watched) return;
    this.#watched?.removeEventListener("devicechange", this.#onChange);
    this.#watched = wanted;
    wanted?.addEventListener("devicechange", this.#onChange);
  }
}
