/** Audio through a Daily room; where it stands on the media clock is found by ear. */
import { makeError, type VoxwireError } from "@voxwire/protocol";
import * as wire from "@voxwire/protocol/wire";
import { type AudioGraph, levelOf } from "../browser/audio-graph.js";
import { Gate } from "../browser/gate.js";
import { audioFormat, type BrowserPath, CAPTURE_RATE, PLAYOUT_RATE } from "../browser/path.js";
import type { PathOptions, Payload } from "../media/media.js";
import type { Reached } from "../media/position.js";
import { Readiness } from "../media/readiness.js";
import type { DailyCall, DailyEvent, LoadDaily } from "./daily-js.js";
import { RoomClock } from "./room-clock.js";
import { RoomEar } from "./room-ear.js";

/** How long it may take to enter a room, milliseconds. */
const JOIN_MS = 10_000;
/** Silence after a flush, from which on what comes is new. */
const NEW_MS = 20;
/** A gate that is shut is looked at this often. */
const LOOK_MS = 8;
/** Level (of 1) at or below which there is silence. */
const QUIET = 0.0005;

export interface DailyPathOptions extends PathOptions {
  readonly graph: AudioGraph;
  readonly load: LoadDaily;
}

export class DailyPath implements BrowserPath {
  readonly carrier = "daily";
  readonly trouble: VoxwireError | undefined;
  readonly pathId: number;
  bufferedMs = 0;
  concealedMs = 0;
  readyMessage: wire.PathReady | undefined;
  readonly #options: DailyPathOptions;
  readonly #readiness = new Readiness();
  readonly #clock = new RoomClock();
  readonly #gate: Gate;
  readonly #ear: RoomEar;
  #call: DailyCall | undefined;
  #element: HTMLAudioElement | undefined;
  #source: MediaStreamAudioSourceNode | undefined;
  #stream: MediaStream | undefined;
  #track: MediaStreamTrack | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #deadline: ReturnType<typeof setTimeout> | undefined;
  /** Silent until a stretch behind `untilMs` begins; the position stands at `atMs` meanwhile. */
  #silent: { readonly atMs: number; readonly untilMs: number } | undefined;
  #joined = false;
  #started = false;
  #dropped = false;
  #closed = false;

  constructor(options: DailyPathOptions) {
    this.#options = options;
    this.pathId = options.pathId;
    this.#gate = new Gate(options.graph.context);
    this.#ear = new RoomEar(options.graph, (samples, rate, atMs) =>
      this.#clock.hear(samples, rate, atMs, performance.now()),
    );
  }

  get ready(): Promise<void> {
    return this.#readiness.ready;
  }

  get lost(): Promise<VoxwireError> {
    return this.#readiness.lost;
  }

  get suspended(): boolean {
    return this.#options.graph.suspended;
  }

  /** Loads daily-js and makes this side of the room. */
  async offer(): Promise<wire.PathOpen> {
    const daily = await this.#options.load().catch((cause: unknown) => {
      const reason = "Daily rooms need a package of Daily's: npm install @daily-co/daily-js";
      throw makeError("missing_extra", reason, { cause });
    });
    await this.#ear.load();
    if (this.#closed) throw makeError("invalid_state", "the path was closed");
    const call = daily.createCallObject({
      audioSource: this.#track ?? false,
      videoSource: false,
      subscribeToTracksAutomatically: true,
      allowMultipleCallInstances: true,
      dailyConfig: { avoidEval: true },
    });
    call.on("track-started", (event) => this.#heard(event));
    call.on("participant-left", (event) => {
      if (event.participant && !event.participant.local) this.#fail("the bot has left its room");
    });
    call.on("left-meeting", () => this.#fail("this page was put out of the Daily room"));
    call.on("error", () => this.#fail("Daily reports an error"));
    this.#call = call;
    return wire.create(wire.PathOpenSchema, {
      pathId: this.pathId,
      carrier: wire.Carrier.DAILY,
      capture: audioFormat(wire.Codec.PCM_S16LE, CAPTURE_RATE),
      playout: audioFormat(wire.Codec.PCM_S16LE, PLAYOUT_RATE),
    });
  }

  receive(payload: Payload): void {
    if (this.#closed) return;
    if (payload.case === "pathAnswer") {
      void this.#join(payload.value);
    } else if (payload.case === "pathReady") {
      this.readyMessage = payload.value;
      this.#settle();
    } else if (payload.case === "pathClose") {
      this.#readiness.refuse(payload.value);
    } else if (payload.case === "mediaAnchor") {
      this.#anchor(payload.value);
    }
  }

  start(fromMs: number): void {
    this.#started = true;
    this.#clock.restart(fromMs);
    this.#listen();
  }

  setTrack(track: MediaStreamTrack | undefined): void {
    this.#track = track;
    if (this.#closed || this.#dropped || !this.#joined) return;
    this.#call?.setInputDevicesAsync({ audioSource: track ?? false }).catch(() => undefined);
  }

  positionMs(nowMs: number): number {
    return this.#silent?.atMs ?? this.#clock.where(nowMs).positionMs;
  }

  reached(nowMs: number): Reached {
    const silent = this.#silent;
    if (!silent) return this.#clock.reached(nowMs);
    return { soundedMs: Math.ceil(silent.atMs) - 1, passedMs: Math.ceil(silent.atMs) + 1 };
  }

  timeOf(mediaMs: number): number | undefined {
    return this.#silent || this.suspended ? undefined : this.#clock.timeOf(mediaMs);
  }

  sounding(nowMs: number, speaking: boolean): boolean {
    if (!this.#started || this.#silent || this.suspended) return false;
    return (
      (speaking && this.#clock.where(nowMs).moving) || levelOf(this.#options.graph.bot) > QUIET
    );
  }

  async flush(untilMs: number): Promise<number> {
    const nowMs = performance.now();
    const here = this.positionMs(nowMs);
    if (this.#silent || here >= untilMs) {
      if (this.#silent)
        this.#silent = { atMs: here, untilMs: Math.max(untilMs, this.#silent.untilMs) };
      return here;
    }
    const silentAt = this.#options.graph.clock.msOf(this.#gate.shut());
    const atMs = Math.min(untilMs, this.#clock.where(Math.max(nowMs, silentAt)).positionMs);
    this.#silent = { atMs, untilMs };
    this.#awaitSound();
    return atMs;
  }

  async stats(): Promise<undefined> {
    return undefined;
  }

  doubt(): void {}

  drop(): void {
    this.#dropped = true;
    this.#call?.setInputDevicesAsync({ audioSource: false }).catch(() => undefined);
    this.#gate.node.disconnect();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#deadline);
    const call = this.#call;
    const left = call?.leave().catch(() => undefined);
    left?.then(() => call?.destroy()).catch(() => undefined);
    this.#ear.close();
    this.#source?.disconnect();
    this.#gate.node.disconnect();
    if (this.#element) {
      this.#element.pause();
      this.#element.srcObject = null;
    }
  }

  async #join({ roomUrl: url, roomToken: token }: wire.PathAnswer): Promise<void> {
    if (!url || !token) {
      this.#readiness.fail(makeError("unsupported", "the server named no Daily room"));
      return;
    }
    this.#deadline = setTimeout(() => {
      const reason = `the Daily room was not entered within ${JOIN_MS / 1000} s`;
      this.#readiness.fail(makeError("timeout", reason, { retryable: true }));
    }, JOIN_MS);
    try {
      await this.#call?.join({ url, token });
      this.#joined = true;
      this.setTrack(this.#track);
      this.#settle();
    } catch {
      // what daily-js says of it may have the room's URL in it
      const reason = "the Daily room cannot be entered";
      this.#readiness.fail(makeError("unreachable", reason, { retryable: true }));
    } finally {
      clearTimeout(this.#deadline);
    }
  }

  #settle(): void {
    if (this.#joined && this.readyMessage) this.#readiness.set();
  }

  #fail(reason: string): void {
    if (this.#closed) return;
    const fields = { retryable: true, action: "reconnect" } as const;
    this.#readiness.fail(makeError("connection_lost", reason, fields));
  }

  #heard({ participant, track }: DailyEvent): void {
    if (this.#closed || this.#stream || !participant || participant.local) return;
    if (track?.kind !== "audio") return;
    // Chromium feeds a remote stream to Web Audio only while a media element plays it
    const stream = new MediaStream([track]);
    const element = new Audio();
    element.muted = true;
    element.srcObject = stream;
    element.play().catch(() => undefined);
    this.#element = element;
    this.#stream = stream;
    if (this.#started) this.#listen();
  }

  #listen(): void {
    const { graph } = this.#options;
    if (!this.#stream || this.#source || this.#closed) return;
    this.#gate.node.connect(graph.bot);
    this.#source = new MediaStreamAudioSourceNode(graph.context, { mediaStream: this.#stream });
    this.#source.connect(this.#gate.node);
    this.#ear.listen(this.#source);
  }

  #anchor(message: wire.MediaAnchor): void {
    if (message.trackId !== 0 || !message.estimated) return;
    const nowMs = performance.now();
    const mediaMs = Number(message.mediaMs);
    if (message.clockRate === 0) this.#clock.ends(mediaMs, nowMs);
    else this.#clock.begins(mediaMs, nowMs);
    if (this.#silent) this.#awaitSound();
  }

  /** Lets sound through again where a stretch is to come that the flush did not void. */
  #awaitSound(): void {
    clearTimeout(this.#timer);
    const silent = this.#silent;
    if (!silent || this.#closed) return;
    const nowMs = performance.now();
    this.#clock.where(nowMs);
    const { stretchMs } = this.#clock;
    const next = stretchMs !== undefined && stretchMs >= silent.untilMs;
    if (next && (!this.#clock.waiting || this.#clock.quietMs(nowMs) >= NEW_MS)) {
      this.#gate.openAt(this.#options.graph.context.currentTime);
      this.#clock.restart(silent.atMs);
      this.#silent = undefined;
      return;
    }
    this.#timer = setTimeout(() => this.#awaitSound(), LOOK_MS);
  }
}
