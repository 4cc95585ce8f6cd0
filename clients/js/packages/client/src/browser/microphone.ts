/** The microphone: a track while it is on, none while it is off. */
import { VoxwireError } from "@voxwire/protocol";
import type { DeviceInfo, DeviceTrouble, MediaOptions, Microphone } from "../api.js";
import { deviceError, deviceFailure, mediaDevices } from "./device-errors.js";
import type { DeviceStore } from "./device-store.js";

const WORST: readonly DeviceTrouble[] = ["muted", "silent", "fallback"];

export class BrowserMicrophone implements Microphone {
  /** Called with the track that is in use from now on. */
  onTrack: (track: MediaStreamTrack | undefined) => void = () => undefined;
  readonly #options: MediaOptions;
  readonly #devices: DeviceStore;
  #wanted: boolean;
  #open = false;
  #track: MediaStreamTrack | undefined;
  /** A track that waits, disabled, for being unmuted. */
  #kept: MediaStreamTrack | undefined;
  /** The system's default when the track was opened. */
  #default: string | undefined;
  readonly #troubles = new Set<DeviceTrouble>();
  #holds = 0;
  #work: Promise<unknown> = Promise.resolve();

  constructor(options: MediaOptions, devices: DeviceStore) {
    this.#options = options;
    this.#devices = devices;
    this.#wanted = options.microphone ?? true;
    devices.onSelect("microphone", (device) => this.#select(device));
    devices.onChange = () => this.#follow();
    this.#tell();
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
    this.#release();
  }

  /** It gives nothing but zeros, or not any more. */
  dead(dead: boolean): void {
    this.#suffer("silent", dead);
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
    if (track !== this.#kept) track.stop();
    this.#devices.set("microphone", { state: "granted" });
  }

  /** Brings the track in line with what is wanted, one change at a time. */
  #settle(): Promise<void> {
    this.#tell();
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
      else this.#release();
    });
    this.#work = work.catch(() => undefined);
    return work;
  }

  /** Another default, or the chosen one is back: both are taken, as nobody would choose again. */
  #follow(): void {
    const { available } = this.#devices.get().microphone;
    const chosen = this.#devices.choices.find("microphone", available);
    const now = defaultOf(available);
    const back = this.#troubles.has("fallback") && chosen !== undefined;
    const moved = now !== this.#default && (!chosen || chosen.id === "default");
    if (!this.#track || !(back || moved)) return;
    const work = this.#work.then(async () => {
      if (this.#track) this.#take(await this.#acquire(undefined));
    });
    this.#work = work.catch(() => undefined); // the one before goes on
  }

  /** @param deviceId - The one and no other; undefined = the chosen one, else any. */
  async #acquire(deviceId: string | undefined): Promise<MediaStreamTrack> {
    if (this.#kept && !this.#track && deviceId === undefined) return this.#kept;
    const before = this.#devices.get().microphone;
    if (!this.#track) this.#devices.set("microphone", { state: "initializing" });
    const wish = deviceId ?? this.#devices.choices.wish("microphone", before.available);
    try {
      if (wish === undefined) return await this.#ask(undefined);
      try {
        return await this.#ask(wish);
      } catch (error) {
        if (deviceId !== undefined || deviceFailure(error) !== "missing") throw error;
        return await this.#substitute(wish);
      }
    } catch (error) {
      if (this.#track) throw asDeviceError(error); // the one before goes on
      throw this.#failed(error);
    }
  }

  /** Browsers take `ideal` for no more than a hint, so `exact` it is. */
  async #ask(deviceId: string | undefined): Promise<MediaStreamTrack> {
    const {
      echoCancellation = true,
      noiseSuppression = true,
      autoGainControl = true,
    } = this.#options;
    const audio: MediaTrackConstraints = { echoCancellation, noiseSuppression, autoGainControl };
    if (deviceId !== undefined) audio.deviceId = { exact: deviceId };
    const stream = await mediaDevices("microphone").getUserMedia({ audio });
    const [track] = stream.getAudioTracks();
    if (!track) throw new DOMException("no track", "NotFoundError");
    return track;
  }

  /** The chosen one is not there under its id: the one with its label, else any. */
  async #substitute(gone: string): Promise<MediaStreamTrack> {
    const track = await this.#ask(undefined); // which shows the labels
    await this.#devices.refresh().catch(() => undefined);
    const again = this.#chosen();
    if (!again || again.id === gone || again.id === idOf(track)) return track;
    try {
      const right = await this.#ask(again.id);
      track.stop();
      return right;
    } catch {
      return track;
    }
  }

  #chosen(): DeviceInfo | undefined {
    const { available } = this.#devices.get().microphone;
    return this.#devices.choices.find("microphone", available);
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
    if (before && before !== track) this.#leave(before, track === undefined);
    if (track) {
      if (track !== this.#kept) this.#release();
      this.#kept = undefined;
      track.enabled = true;
      track.onended = () => this.#lose(track);
      track.onmute = track.onunmute = () => this.#suffer("muted", track.muted);
      this.#devices.granted("microphone", { id: idOf(track), label: track.label });
      this.#noteTrouble(track);
    } else {
      this.#devices.set("microphone", { enabled: false });
      this.#wellAgain();
    }
    this.onTrack(track);
  }

  /** Gives a track up, or keeps it for the next time that it is wanted. */
  #leave(track: MediaStreamTrack, muted: boolean): void {
    track.onmute = track.onunmute = null;
    if (muted && this.#open && this.#options.keepMicrophoneOnMute) {
      track.enabled = false;
      track.onended = () => this.#release();
      this.#kept = track;
      return;
    }
    track.onended = null;
    track.stop();
  }

  #release(): void {
    const kept = this.#kept;
    this.#kept = undefined;
    if (!kept) return;
    kept.onended = null;
    kept.stop();
  }

  /** What is wrong with a new track, and which default there is; labels are known from now on. */
  #noteTrouble(track: MediaStreamTrack): void {
    this.#troubles.clear();
    this.#suffer("muted", track.muted === true);
    const noted = () => {
      if (this.#track !== track) return;
      const { available } = this.#devices.get().microphone;
      this.#default = defaultOf(available);
      const wish = this.#devices.choices.wish("microphone", available);
      this.#suffer("fallback", wish !== undefined && idOf(track) !== "" && wish !== idOf(track));
    };
    this.#devices.refresh().then(noted, noted);
  }

  /** A trouble begins or ends; the worst that is left is shown. */
  #suffer(trouble: DeviceTrouble, suffers: boolean): void {
    if (suffers) this.#troubles.add(trouble);
    else this.#troubles.delete(trouble);
    this.#devices.trouble(
      "microphone",
      WORST.find((one) => this.#troubles.has(one)),
    );
  }

  #wellAgain(): void {
    this.#troubles.clear();
    this.#devices.trouble("microphone", undefined);
  }

  #tell(): void {
    this.#devices.set("microphone", { wanted: this.enabled });
  }

  /** The device was unplugged, or the permission withdrawn: another one may be there. */
  #lose(track: MediaStreamTrack): void {
    if (this.#track !== track) return;
    this.#track = undefined;
    this.onTrack(undefined);
    this.#wellAgain();
    this.#devices.failed("microphone", "lost");
    this.#settle().catch(() => undefined);
  }
}

const idOf = (track: MediaStreamTrack) => track.getSettings().deviceId ?? "";

/** Tells one default from another: browsers list it first, Chromium under a name of its own. */
function defaultOf(available: readonly DeviceInfo[]): string | undefined {
  const [first] = available;
  return first && `${first.id} ${first.label}`;
}

function asDeviceError(error: unknown): VoxwireError {
  if (error instanceof VoxwireError) return error;
  return deviceError("microphone", deviceFailure(error), error);
}
