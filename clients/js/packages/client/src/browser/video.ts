/** Camera and screen: they can be had, though no path carries video yet. */
import type { DeviceInfo } from "../api.js";
import { deviceFailure, mediaDevices } from "./device-errors.js";
import type { DeviceStore } from "./device-store.js";

type VideoKind = "camera" | "screen";

export class VideoSources {
  readonly #devices: DeviceStore;
  readonly #tracks = new Map<VideoKind, MediaStreamTrack>();

  constructor(devices: DeviceStore) {
    this.#devices = devices;
    devices.onSelect("camera", async (device) => {
      if (this.#tracks.has("camera")) await this.acquire("camera", device);
    });
  }

  track(kind: VideoKind): MediaStreamTrack | undefined {
    return this.#tracks.get(kind);
  }

  /** Opens it, or another one in its place; rejects with a MediaError. */
  async acquire(kind: VideoKind, device?: DeviceInfo): Promise<MediaStreamTrack> {
    this.#devices.set(kind, { state: "initializing" });
    try {
      const stream =
        kind === "camera"
          ? await this.#camera(device)
          : await mediaDevices(kind).getDisplayMedia({ video: true });
      const [track] = stream.getVideoTracks();
      if (!track) throw new DOMException("no track", "NotFoundError");
      this.release(kind);
      this.#tracks.set(kind, track);
      track.onended = () => {
        this.release(kind);
        this.#devices.failed(kind, "lost");
      };
      const id = track.getSettings().deviceId ?? "";
      this.#devices.granted(kind, { id, label: track.label });
      return track;
    } catch (error) {
      const insecure = globalThis.isSecureContext === false;
      throw this.#devices.failed(
        kind,
        insecure ? "insecure_origin" : deviceFailure(error, kind),
        error,
      );
    }
  }

  /** That device and no other; else the chosen one, or any when it is gone. */
  async #camera(device: DeviceInfo | undefined): Promise<MediaStream> {
    const devices = mediaDevices("camera");
    const ask = (id: string) => devices.getUserMedia({ video: { deviceId: { exact: id } } });
    if (device) return ask(device.id);
    const { available } = this.#devices.get().camera;
    const wish = this.#devices.choices.wish("camera", available);
    if (wish === undefined) return devices.getUserMedia({ video: true });
    return ask(wish).catch((error: unknown) => {
      if (deviceFailure(error) !== "missing") throw error;
      return devices.getUserMedia({ video: true });
    });
  }

  release(kind: VideoKind): void {
    const track = this.#tracks.get(kind);
    if (!track) return;
    this.#tracks.delete(kind);
    track.onended = null;
    track.stop();
    this.#devices.set(kind, { enabled: false });
  }

  close(): void {
    this.release("camera");
    this.release("screen");
  }
}
