/** The media of a client in a page: one microphone, one output, one path at a time. */
import { makeError, VoxwireError, type wire } from "@voxwire/protocol";
import type { DeviceInfo, Levels, Logger, MediaOptions } from "../api.js";
import type {
  CarrierName,
  Media,
  MediaHost,
  MediaPath,
  PathOptions,
  Payload,
  Resent,
} from "../media/media.js";
import { Player } from "../media/player.js";
import {
  type Flow,
  type Measured,
  measure,
  readStats,
  type StatsLook,
  UNKNOWN,
} from "../media/quality.js";
import { NOTHING_RESENT, UserAudio } from "../media/user-audio.js";
import { AudioGraph, levelOf } from "./audio-graph.js";
import { CaptureNode } from "./capture-node.js";
import { DeviceStore } from "./device-store.js";
import { BrowserMicrophone } from "./microphone.js";
import type { BrowserPath } from "./path.js";
import { WebRtcPath } from "./webrtc-path.js";
import { WebSocketPath } from "./websocket-path.js";
import { ZeroWatch } from "./zero-watch.js";

const NO_PAGE =
  "there is no sound here (no AudioContext): in Node give media: wavMedia(…) of " +
  "@voxwire/client/node, and media: false for text alone";

/** What is waited for, unless nobody waits any more: a user may never answer the browser. */
async function aborted(signal: AbortSignal, work: Promise<void>): Promise<void> {
  work.catch(() => undefined);
  let stop = () => {};
  const over = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
  });
  try {
    await Promise.race([work, over]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

export class BrowserMedia implements Media {
  readonly devices: DeviceStore;
  readonly microphone: BrowserMicrophone;
  onPlaybackBlocked: ((blocked: boolean) => void) | undefined;
  readonly #options: MediaOptions;
  readonly #logger: Logger;
  #volume: number;
  #graph: AudioGraph | undefined;
  #host: MediaHost | undefined;
  #player: Player | undefined;
  #path: BrowserPath | undefined;
  #user: UserAudio | undefined;
  #capture: CaptureNode | undefined;
  readonly #paths = new Set<BrowserPath>();
  #source: MediaStreamAudioSourceNode | undefined;
  #positionMs = 0;
  #look: StatsLook | undefined;
  #lost = false;
  #unwatch: (() => void) | undefined;
  readonly #zeros = new ZeroWatch(
    () => this.#loudest(),
    (dead) => this.microphone.dead(dead),
  );

  /** Loaded when somebody asks: most pages never do. */
  readonly checks = () => import("./check.js");

  /** @param daily Makes paths through Daily rooms; absent = it has none. */
  constructor(
    options: MediaOptions,
    logger: Logger,
    private readonly daily?: (options: PathOptions & { readonly graph: AudioGraph }) => BrowserPath,
  ) {
    this.#options = options;
    this.#logger = logger;
    this.#volume = options.volume ?? 1;
    this.devices = new DeviceStore(options.rememberDevices ?? true);
    this.microphone = new BrowserMicrophone(options, this.devices);
    this.microphone.onTrack = (track) => this.#useTrack(track);
    this.devices.onSelect("speaker", (device) => this.#useSpeaker(device));
  }

  get carriers(): readonly CarrierName[] {
    const carriers: CarrierName[] = this.daily ? ["websocket", "daily"] : ["websocket"];
    return "RTCPeerConnection" in globalThis ? ["webrtc", ...carriers] : carriers;
  }

  get output(): AudioNode | undefined {
    return this.#graph?.output;
  }

  get input(): AudioNode | undefined {
    return this.#source ? this.#graph?.input : undefined;
  }

  get positionMs(): number {
    return this.#player?.positionMs ?? this.#positionMs;
  }

  async start(host: MediaHost): Promise<void> {
    await this.stop();
    this.#host = host;
    this.#positionMs = 0;
    if (!("AudioContext" in globalThis)) throw makeError("unsupported", NO_PAGE);
    try {
      this.#graph = this.#makeGraph();
    } catch (cause) {
      throw makeError("device", "this browser gives the page no sound", { cause });
    }
    this.#player = new Player({
      now: () => performance.now(),
      emit: (type, event) => host.emit(type, event),
      send: (payload) => host.send(payload),
    });
    this.#listen(this.#graph, host);
    this.#unwatch = this.devices.watch();
    await aborted(host.signal, this.#useRememberedSpeaker());
    // stopped meanwhile: nobody would close a microphone that is opened now
    if (this.#host !== host) throw makeError("invalid_state", "the media was stopped");
    await aborted(host.signal, this.microphone.open());
  }

  path(carrier: CarrierName, options: PathOptions): MediaPath {
    const graph = this.#graph;
    const host = this.#host;
    const capture = this.#capture;
    if (!graph || !host || !capture) throw makeError("invalid_state", "the media was not started");
    const onChange = () => this.#player?.update();
    const onGone = () => this.#user?.park(options.pathId);
    const path: BrowserPath =
      carrier === "webrtc"
        ? new WebRtcPath({ ...options, graph, host })
        : carrier === "daily" && this.daily
          ? this.daily({ ...options, graph })
          : new WebSocketPath({ ...options, graph, capture, onChange, onGone });
    path.setTrack(this.microphone.track);
    this.#paths.add(path);
    path.lost.then(() => {
      onGone();
      if (this.#path === path) this.#lost = true;
    });
    return path;
  }

  use(path: MediaPath): Resent {
    const next = [...this.#paths].find((known) => known === path);
    const player = this.#player;
    if (!next || !player || next === this.#path) return NOTHING_RESENT;
    const before = this.#path;
    const fromMs = player.positionMs;
    if (before) {
      player.leave(before);
      before.close();
      this.#user?.park(before.pathId);
      this.#paths.delete(before);
    }
    this.#path = next;
    this.#look = undefined;
    this.#lost = false;
    next.start(fromMs);
    player.follow(next);
    const { readyMessage, carrier } = next;
    const resent = readyMessage && this.#user?.resume(readyMessage, carrier !== "websocket");
    return resent ?? NOTHING_RESENT;
  }

  receive(payload: Payload): void {
    this.#player?.receive(payload);
  }

  reset(snapshot?: wire.Snapshot): void {
    this.#player?.reset(snapshot);
  }

  levels(): Levels {
    const graph = this.#graph;
    if (!graph) return { microphone: 0, bot: 0 };
    return { microphone: this.#source ? levelOf(graph.microphone) : 0, bot: levelOf(graph.bot) };
  }

  async quality(): Promise<Flow> {
    const path = this.#path;
    if (!path) return { transport: "none", lost: true, ...UNKNOWN };
    const report = await path.stats();
    const entries: Record<string, unknown>[] = [];
    report?.forEach((entry) => {
      entries.push(entry);
    });
    const look = readStats(entries);
    const { bufferedMs, concealedMs } = path;
    let measured: Measured = { ...UNKNOWN, bufferedMs, concealedMs };
    if (look) {
      measured = measure(look, this.#look);
      path.bufferedMs = measured.bufferedMs;
      path.concealedMs = measured.concealedMs;
      this.#look = look;
    }
    return { transport: path.carrier, lost: this.#lost, ...measured };
  }

  setVolume(volume: number): void {
    this.#volume = volume;
    if (this.#graph) this.#graph.volume = volume;
  }

  async resumeAudio(): Promise<void> {
    await this.#graph?.resume();
  }

  async stop(): Promise<void> {
    this.#positionMs = this.positionMs;
    this.#player?.close();
    this.#player = undefined;
    for (const path of this.#paths) path.close();
    this.#paths.clear();
    this.#path = undefined;
    this.#unwatch?.();
    this.#unwatch = undefined;
    this.microphone.close();
    this.#capture?.close();
    this.#capture = this.#user = undefined;
    const graph = this.#graph;
    this.#graph = undefined;
    this.#host = undefined;
    await graph?.close();
  }

  #makeGraph(): AudioGraph {
    return new AudioGraph({
      volume: this.#volume,
      workletUrl: this.#options.workletUrl,
      logger: this.#logger,
      onBlocked: (blocked) => this.onPlaybackBlocked?.(blocked),
      onState: () => this.#player?.update(),
    });
  }

  /** Captures from here on, so that what the user says meanwhile is there when a path is. */
  #listen(graph: AudioGraph, host: MediaHost): void {
    const user = new UserAudio(
      (payload) => host.send(payload),
      () => performance.now(),
    );
    this.#user = user;
    this.#capture = new CaptureNode(graph, (samples) => {
      user.capture(this.microphone.track ? samples : undefined, samples.length);
    });
    this.#capture.start().catch(() => undefined); // the path that needs it says so
  }

  #useTrack(track: MediaStreamTrack | undefined): void {
    if (!track) this.#user?.mute();
    this.#source?.disconnect();
    this.#source = undefined;
    const graph = this.#graph;
    if (track && graph) {
      const mediaStream = new MediaStream([track]);
      this.#source = new MediaStreamAudioSourceNode(graph.context, { mediaStream });
      this.#source.connect(graph.input);
    }
    for (const path of this.#paths) path.setTrack(track);
    if (this.#source) this.#zeros.start();
    else this.#zeros.stop();
  }

  /** The loudest sample of the microphone lately; undefined while the page's sound does not run. */
  #loudest(): number | undefined {
    const graph = this.#graph;
    if (graph?.context.state !== "running") return undefined;
    return levelOf(graph.microphone);
  }

  async #useSpeaker(device: DeviceInfo): Promise<void> {
    const graph = this.#graph;
    if (!graph) return; // it is used from the next session on
    if (!graph.context.setSinkId) throw this.devices.failed("speaker", "unsupported");
    try {
      await graph.context.setSinkId(device.id === "default" ? "" : device.id);
    } catch (cause) {
      throw this.devices.failed("speaker", "other", cause);
    }
    this.devices.granted("speaker", device);
  }

  async #useRememberedSpeaker(): Promise<void> {
    try {
      const { speaker } = await this.devices.refresh();
      const device = this.devices.choices.find("speaker", speaker.available);
      if (device) await this.#useSpeaker(device);
      else this.devices.granted("speaker", speaker.available[0]);
    } catch (error) {
      if (!(error instanceof VoxwireError)) this.#logger.warn("no speaker", { error });
    }
  }
}
