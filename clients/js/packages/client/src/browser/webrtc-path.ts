/** Audio over WebRTC; the media clock through RTP timestamps and anchors. */
import { makeError, type VoxwireError } from "@voxwire/protocol";
import * as wire from "@voxwire/protocol/wire";
import { AnchorMap } from "../media/anchors.js";
import type { MediaHost, PathOptions, Payload } from "../media/media.js";
import { type Reached, reachedAt } from "../media/position.js";
import { Readiness } from "../media/readiness.js";
import { RtpClock } from "../media/rtp-clock.js";
import { type AudioGraph, levelOf } from "./audio-graph.js";
import { Gate } from "./gate.js";
import { audioFormat, type BrowserPath, CAPTURE_RATE, PLAYOUT_RATE } from "./path.js";
import { Peer } from "./peer.js";
import { PATIENT_LOOKS, SilenceWatch } from "./silence-watch.js";

/** Decoded sound is this much behind its timestamp: libopus looks 6.5 ms ahead. */
const LOOKAHEAD_MS = 6.5;
/** From the jitter buffer to the output node; measured in Chromium (test/browser/timing.mjs). */
const DELIVERY_MS = 18;
/** A timestamp is looked at no more often than this. */
const LOOK_MS = 8;
/** After a flush, sound is let through this much before its position. */
const EARLY_MS = 20;
/** Level (of 1) at or below which there is silence. */
const QUIET = 0.0005;

export interface WebRtcPathOptions extends PathOptions {
  readonly graph: AudioGraph;
  readonly host: MediaHost;
}

export class WebRtcPath implements BrowserPath {
  readonly carrier = "webrtc";
  readonly pathId: number;
  bufferedMs = 0;
  concealedMs = 0;
  readonly #options: WebRtcPathOptions;
  readonly #readiness = new Readiness();
  readonly #anchors = new AnchorMap();
  readonly #rtp = new RtpClock();
  readonly #peer: Peer;
  readonly #gate: Gate;
  readonly #watch: SilenceWatch;
  #element: HTMLAudioElement | undefined;
  #source: MediaStreamAudioSourceNode | undefined;
  #stream: MediaStream | undefined;
  #track: MediaStreamTrack | undefined;
  #early: wire.IceCandidate[] | undefined = [];
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #floorMs = 0;
  readyMessage: wire.PathReady | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Silent until the stream reaches `untilMs`; the position stands at `atMs` meanwhile. */
  #silent: { readonly atMs: number; readonly untilMs: number } | undefined;
  /** The page could not play: the position stands until the server says where it goes on. */
  #standing = false;
  #learn: ((servers: readonly wire.IceServer[]) => void) | undefined;
  #connected = false;
  #serverReady = false;
  #started = false;
  #dropped = false;
  #closed = false;

  constructor(options: WebRtcPathOptions) {
    this.#options = options;
    this.pathId = options.pathId;
    this.#gate = new Gate(options.graph.context);
    this.#peer = new Peer(options, {
      candidate: (candidate) => this.#candidate(candidate),
      stream: (stream) => this.#attach(stream),
      connected: () => {
        this.#connected = true;
        this.#settle();
      },
      failed: (error) => this.#fail(error),
    });
    this.#watch = new SilenceWatch(
      () => this.#packets(),
      () => this.#fail(broken()),
      options.unanchored ? PATIENT_LOOKS : undefined,
    );
  }

  get ready(): Promise<void> {
    return this.#readiness.ready;
  }

  get lost(): Promise<VoxwireError> {
    return this.#readiness.lost;
  }

  get trouble(): VoxwireError | undefined {
    return this.#peer.trouble;
  }

  get suspended(): boolean {
    return this.#options.graph.suspended;
  }

  async offer(signal?: AbortSignal): Promise<wire.PathOpen> {
    await this.#awaitServers(signal);
    const sdpOffer = await this.#peer.offer();
    setTimeout(() => this.#sendEarly(), 0);
    return wire.create(wire.PathOpenSchema, {
      pathId: this.pathId,
      carrier: wire.Carrier.WEBRTC,
      capture: audioFormat(wire.Codec.OPUS, CAPTURE_RATE),
      playout: audioFormat(wire.Codec.OPUS, PLAYOUT_RATE),
      sdpOffer,
    });
  }

  receive(payload: Payload): void {
    if (this.#closed) return;
    if (payload.case === "iceServersUpdate") {
      this.#learn?.(payload.value.iceServers);
    } else if (payload.case === "pathAnswer") {
      this.#peer.accept(payload.value.sdpAnswer).catch((error) => this.#fail(error));
    } else if (payload.case === "pathReady") {
      this.#serverReady = true;
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
    this.#floorMs = fromMs;
    this.#listen();
    // a bot that has nothing to say need not send silence, unless it is ours
    if (!this.#options.unanchored) this.#watch.start();
  }

  setTrack(track: MediaStreamTrack | undefined): void {
    this.#track = track;
    if (!this.#closed && !this.#dropped) this.#peer.send(track).catch(() => undefined);
  }

  positionMs(nowMs: number): number {
    return this.#where(nowMs).positionMs;
  }

  reached(nowMs: number): Reached {
    const { positionMs, moving } = this.#where(nowMs);
    return reachedAt(positionMs, moving);
  }

  timeOf(mediaMs: number): number | undefined {
    if (this.#silent || this.#stands() || !this.#rtp.known) return undefined;
    const fromTicks = this.#ticksAt(performance.now());
    const ticks = this.#anchors.ticksOf(mediaMs, fromTicks);
    return ticks === undefined ? undefined : this.#timeOfTicks(ticks);
  }

  sounding(_nowMs: number, speaking: boolean): boolean {
    if (!this.#started || this.#silent || this.suspended) return false;
    return speaking || levelOf(this.#options.graph.bot) > QUIET;
  }

  async flush(untilMs: number): Promise<number> {
    const nowMs = performance.now();
    if (this.#silent || this.#where(nowMs).positionMs >= untilMs) {
      const atMs = this.#silent?.atMs ?? this.#where(nowMs).positionMs;
      if (this.#silent) this.#silent = { atMs, untilMs: Math.max(untilMs, this.#silent.untilMs) };
      return atMs;
    }
    const silentAt = this.#options.graph.clock.msOf(this.#gate.shut());
    const atMs = Math.min(untilMs, this.#where(Math.max(nowMs, silentAt)).positionMs);
    this.#silent = { atMs, untilMs };
    return atMs;
  }

  async stats(): Promise<RTCStatsReport> {
    return this.#peer.connection.getStats();
  }

  doubt(): void {
    this.#watch.doubt();
  }

  drop(): void {
    this.#dropped = true;
    this.#peer.send(undefined).catch(() => undefined);
    this.#gate.node.disconnect();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#watch.stop();
    this.#peer.close();
    this.#source?.disconnect();
    this.#gate.node.disconnect();
    if (this.#element) {
      this.#element.pause();
      this.#element.srcObject = null;
    }
  }

  /**
   * The first offer of a session to another machine waits for Welcome where only that names the
   * STUN and TURN servers: what they give is gathered once, with the offer.
   */
  async #awaitServers(signal: AbortSignal | undefined): Promise<void> {
    const { iceServers, pathId, host, icePolicy } = this.#options;
    const needless = host.loopback && icePolicy !== "relay";
    if (iceServers.length > 0 || pathId > 1 || needless || signal?.aborted) return;
    await new Promise<void>((resolve) => {
      signal?.addEventListener("abort", () => resolve(), { once: true });
      this.#learn = (servers) => {
        this.#learn = undefined;
        if (!this.#closed) this.#peer.useServers(servers);
        resolve();
      };
    });
  }

  #settle(): void {
    if (this.#connected && this.#serverReady) this.#readiness.set();
  }

  #fail(error: VoxwireError): void {
    if (!this.#closed) this.#readiness.fail(this.#started ? broken(error) : error);
  }

  #candidate(candidate: RTCIceCandidate | undefined): void {
    const message = wire.create(wire.IceCandidateSchema, {
      pathId: this.pathId,
      candidate: candidate?.candidate ?? "",
      sdpMid: candidate?.sdpMid ?? "0",
    });
    if (this.#early) this.#early.push(message);
    else this.#options.host.send({ case: "iceCandidate", value: message });
  }

  /** Candidates follow the offer that they belong to. */
  #sendEarly(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    if (this.#closed) return;
    for (const value of early) this.#options.host.send({ case: "iceCandidate", value });
  }

  /** Chromium feeds a remote stream to Web Audio only while a media element plays it. */
  #attach(stream: MediaStream): void {
    const element = new Audio();
    element.muted = true;
    element.srcObject = stream;
    element.play().catch(() => undefined);
    this.#element = element;
    this.#stream = stream;
    if (this.#started) this.#listen();
    this.setTrack(this.#track);
  }

  /** What a stream brings before anything reads it would stay in front of it as delay. */
  #listen(): void {
    const { graph } = this.#options;
    if (!this.#stream || this.#source) return;
    this.#gate.node.connect(graph.bot);
    this.#source = new MediaStreamAudioSourceNode(graph.context, { mediaStream: this.#stream });
    this.#source.connect(this.#gate.node);
  }

  #anchor(message: wire.MediaAnchor): void {
    if (message.trackId !== 0 || message.position.case !== "rtpTimestamp") return;
    if (this.#standing && !this.suspended) this.#goOn();
    this.#anchors.add(message.position.value, Number(message.mediaMs), message.clockRate);
    clearTimeout(this.#timer);
    this.#awaitSound();
  }

  /** An anchor behind a flush: the gate must be open when its sound comes. */
  #awaitSound(): void {
    if (this.#closed || !this.#silent) return;
    this.#where(performance.now());
    this.#timer = setTimeout(() => this.#awaitSound(), LOOK_MS);
  }

  #look(nowMs: number): void {
    if (nowMs - this.#lookedAtMs < LOOK_MS || this.#dropped || this.#closed) return;
    this.#lookedAtMs = nowMs;
    this.#options.graph.clock.observe();
    const [source] = this.#peer.receiver.getSynchronizationSources();
    if (!source) return;
    const { rtpTimestamp } = source;
    const ticks = this.#anchors.advance(rtpTimestamp);
    this.#rtp.note(ticks, onPageClock(source.timestamp));
    this.#watch.saw(rtpTimestamp);
    if (!this.#options.unanchored) return;
    this.#watch.start();
    if (!this.#anchors.where(ticks)) this.#anchors.add(rtpTimestamp, this.#floorMs);
  }

  #delayMs(): number {
    return DELIVERY_MS + LOOKAHEAD_MS + this.#options.graph.clock.deviceDelayMs;
  }

  #ticksAt(nowMs: number): number {
    return this.#rtp.at(nowMs - this.#delayMs()).ticks;
  }

  #timeOfTicks(ticks: number): number {
    return this.#rtp.timeOf(ticks) + this.#delayMs();
  }

  #where(nowMs: number): { readonly positionMs: number; readonly moving: boolean } {
    this.#look(nowMs);
    if (this.#stands()) return { positionMs: this.#silent?.atMs ?? this.#floorMs, moving: false };
    if (this.#silent) this.#mayOpen(nowMs, this.#silent);
    if (this.#silent) return { positionMs: this.#silent.atMs, moving: false };
    const { ticks, moving } = this.#rtp.at(nowMs - this.#delayMs());
    const there = this.#rtp.known ? this.#anchors.where(ticks) : undefined;
    if (!there) return { positionMs: this.#floorMs, moving: false };
    this.#floorMs = Math.max(this.#floorMs, there.mediaMs);
    return { positionMs: there.mediaMs, moving: moving && there.moving };
  }

  /** True while the page cannot play, and until the server has said where it goes on. */
  #stands(): boolean {
    if (this.#started && this.suspended) this.#standing = true;
    else if (this.#standing && this.#options.unanchored) this.#goOn();
    return this.#standing;
  }

  /** What was said of the stream is not so any more. */
  #goOn(): void {
    this.#anchors.forget();
    this.#standing = false;
  }

  /** Lets sound through again where the stream has come to what the flush did not void. */
  #mayOpen(nowMs: number, silent: { readonly untilMs: number }): void {
    const soon = this.#ticksAt(nowMs + EARLY_MS * 2);
    const there = this.#rtp.known ? this.#anchors.where(soon) : undefined;
    if (!there || there.mediaMs < silent.untilMs) return;
    const ticks = this.#anchors.ticksOf(silent.untilMs, this.#ticksAt(nowMs));
    const atMs = ticks === undefined ? nowMs : this.#timeOfTicks(ticks);
    this.#gate.openAt(this.#options.graph.clock.timeOf(atMs - EARLY_MS));
    this.#silent = undefined;
  }

  async #packets(): Promise<number> {
    const stats = await this.stats();
    let received = 0;
    stats.forEach((entry: { type?: string; packetsReceived?: number }) => {
      if (entry.type === "inbound-rtp") received += entry.packetsReceived ?? 0;
    });
    return this.#dropped ? 0 : received;
  }
}

/** Browsers give this time since the page's time origin, or since 1970. */
function onPageClock(timestamp: number): number {
  return timestamp > 1e11 ? timestamp - performance.timeOrigin : timestamp;
}

function broken(cause?: VoxwireError): VoxwireError {
  return makeError("connection_lost", "the WebRTC connection broke", {
    retryable: true,
    action: "reconnect",
    ...(cause ? { cause } : {}),
  });
}
