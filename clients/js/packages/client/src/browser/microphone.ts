/** The microphone: a track while it is on, none while it is off. */
import { VoxwireError } from "@voxwire/protocol";
import type { DeviceInfo, MediaOptions, Microphone } from "../api.js";
import { deviceError, deviceFailure, mediaDevices } from "./device-errors.js";
import type { DeviceStore } from "./device-store.js";

export class BrowserMicrophone implements Microphone {
  /** Called with the track that is in use from now on. */
  onTrack: (track: MediaStreamTrack | undefined) => void = () => undefined;
  readonly #options: MediaOptions;
  readonly #devices: DeviceStore;
  #wanted: boolean;
  #open = false;
  #track: MediaStreamTrack | undefined;
  #holds = 0;
  #work: Promise<unknown> = Promise.resolve();

  constructor(options: MediaOptions, devices: DeviceStore) {
    this.#options = options;
    this.#devices = devices;
    this.#wanted = options.microphone ?? true;
    devices.onSelect("microphone", (device) => this.#select(device));
  }

  get enabled(): boolean {
    return this.#wanted || this.#holds > 0;
  }

  get track(): MediaStreamTrack | undefined {
    return this.#track;
  }

  async setEnabled(enabled: boolean): Promise<void> {
    this.#wanted = enabled;
    await this.#settle();
  }

  hold(): () => void {
    this.#holds += 1;
    let held = true;
    this.#settle().catch(() => undefined); // `devices` says why
    return () => {
      if (!held) return;
      held = false;
      this.#holds -= 1;
      this.#settle().catch(() => undefined);
    };
  }

  /** A session is up: the microphone is opened if it is to be on. */
  async open(): Promise<void> {
    this.#open = true;
    await this.#settle();
  }

  /** The session is over: nothing is captured, nor when the user answers the browser later. */
  close(): void {
    this.#open = false;
    if (this.#track) this.#use(undefined);
  }

  get #on(): boolean {
    return this.#open && this.enabled;
  }

  /** Uses a track that was waited for, unless it is not wanted any more. */
  #take(track: MediaStreamTrack): void {
    if (this.#on) {
      this.#use(track);
      return;
    }
    track.stop();
    this.#devices.set("microphone", { state: "granted" });
  }

  /** Brings the track in line with what is wanted, one change at a time. */
  #settle(): Promise<void> {
    const work = this.#work.then(async () => {
      if (!this.#on && this.#track) this.#use(undefined);
      else if (this.#on && !this.#track) this.#take(await this.#acquire(undefined));
    });
    this.#work = work.catch(() => undefined);
    return work;
  }

  #select(device: DeviceInfo): Promise<void> {
    const work = this.#work.then(async () => {
      if (this.#track) this.#take(await this.#acquire(device.id));
    });
    this.#work = work.catch(() => undefined);
    return work;
  }

  async #acquire(deviceId: string | undefined): Promise<MediaStreamTrack> {
    const {
      echoCancellation = true,
      noiseSuppression = true,
      autoGainControl = true,
    } = this.#options;
    const before = this.#devices.get().microphone;
    if (!this.#track) this.#devices.set("microphone", { state: "initializing" });
    const wish = this.#devices.choices.wish("microphone", before.available);
    const audio: MediaTrackConstraints = { echoCancellation, noiseSuppression, autoGainControl };
    if (deviceId) audio.deviceId = { exact: deviceId };
    else if (wish) audio.deviceId = { ideal: wish };
    try {
      const stream = await mediaDevices("microphone").getUserMedia({ audio });
      const [track] = stream.getAudioTracks();
      if (!track) throw new DOMException("no track", "NotFoundError");
      return track;
    } catch (error) {
      if (this.#track) throw asDeviceError(error); // the one before goes on
      throw this.#failed(error);
    }
  }

  #failed(error: unknown): VoxwireError {
    if (error instanceof VoxwireError) {
      const insecure = globalThis.isSecureContext === false;
      return this.#devices.failed("microphone", insecure ? "insecure_origin" : "unsupported");
    }
    return this.#devices.failed("microphone", deviceFailure(error), error);
  }

  #use(track: MediaStreamTrack | undefined): void {
    const before = this.#track;
    this.#track = track;
    if (before) {
      before.onended = null;
      before.stop();
    }
    if (track) {
      track.onended = () => this.#lose(track);
      const id = track.getSettings().deviceId ?? "";
      this.#devices.granted("microphone", { id, label: track.label });
      this.#devices.refresh().catch(() => undefined); // labels are known from now on
    } else {
      this.#devices.set("microphone", { enabled: false });
    }
    this.onTrack(track);
  }

  /** The device was unplugged, or the permission withdrawn: another one may be there. */
  #lose(track: MediaStreamTrack): void {
    if (this.#track !== track) return;
    this.#track = undefined;
    this.onTrack(undefined);
    this.#devices.failed("microphone", "lost");
    this.#settle().catch(() => undefined);
  }
}

function asDeviceError(error: unknown): VoxwireError {
  if (error instanceof VoxwireError) return error;
  return deviceError("microphone", deviceFailure(error), error);
}
