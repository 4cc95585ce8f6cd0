/** The browser's devices, for tests of this folder. */

export class FakeTrack {
  onended: (() => void) | null = null;
  onmute: (() => void) | null = null;
  onunmute: (() => void) | null = null;
  readyState = "live";
  enabled = true;
  muted = false;
  constructor(
    readonly kind: string,
    readonly deviceId: string,
    readonly label: string,
  ) {}
  getSettings() {
    return { deviceId: this.deviceId };
  }
  stop() {
    this.readyState = "ended";
  }
}

interface Info {
  readonly kind: MediaDeviceKind;
  readonly deviceId: string;
  readonly label: string;
}

export class FakeDevices extends EventTarget {
  infos: Info[] = [
    { kind: "audioinput", deviceId: "a", label: "Desk" },
    { kind: "audioinput", deviceId: "b", label: "Headset" },
    { kind: "audiooutput", deviceId: "s", label: "Speakers" },
  ];
  refusal: string | undefined;
  asked: MediaStreamConstraints[] = [];
  tracks: FakeTrack[] = [];

  async enumerateDevices() {
    return this.infos;
  }

  async getUserMedia(constraints: MediaStreamConstraints) {
    this.asked.push(constraints);
    if (this.refusal) throw new DOMException("no", this.refusal);
    const video = constraints.video !== undefined;
    const wanted = (video ? constraints.video : constraints.audio) as MediaTrackConstraints;
    const id = wanted.deviceId as { exact?: string; ideal?: string } | undefined;
    const inputs = this.infos.filter(({ kind }) => kind === (video ? "videoinput" : "audioinput"));
    const exact = inputs.find(({ deviceId }) => deviceId === id?.exact);
    if (id?.exact && !exact) throw new DOMException("gone", "OverconstrainedError");
    const info = exact ?? inputs[0]; // what browsers make of `ideal`, too
    if (!info) throw new DOMException("none", "NotFoundError");
    const track = new FakeTrack(video ? "video" : "audio", info.deviceId, info.label);
    this.tracks.push(track);
    return {
      getTracks: () => [track],
      getAudioTracks: () => [track],
      getVideoTracks: () => [track],
    };
  }

  get live(): number {
    return this.tracks.filter(({ readyState }) => readyState === "live").length;
  }
}
