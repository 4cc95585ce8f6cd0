/**
 * The sound of one session: what comes in goes through `input`, what the page hears through
 * `output`. One AudioContext, made when a session starts and closed when it ends.
 */

import { makeError } from "@voxwire/protocol";
import type { Logger } from "../api.js";
import { AudioClock } from "./audio-clock.js";
import { deviceError } from "./device-errors.js";

/** How long a context may take to start before it counts as blocked. */
const START_MS = 300;
/** How long worklets get to end before the context is closed. */
const LAST_BLOCK_MS = 30;
/** What the volume takes to change: a step would click. */
const VOLUME_S = 0.02;

export interface GraphOptions {
  readonly volume: number;
  readonly workletUrl: string | URL | undefined;
  readonly logger: Logger;
  readonly onBlocked: (blocked: boolean) => void;
  /** The context runs or stands; `suspended` says which. */
  readonly onState: () => void;
}

interface SinkContext extends AudioContext {
  setSinkId?(id: string): Promise<void>;
}

export class AudioGraph {
  readonly context: SinkContext;
  readonly clock: AudioClock;
  /** The microphone goes through it. */
  readonly input: GainNode;
  /** Everything that is heard goes through it, last. */
  readonly output: GainNode;
  /** The bot's voice before the volume, for levels. */
  readonly bot: AnalyserNode;
  readonly microphone: AnalyserNode;
  readonly #options: GraphOptions;
  readonly #modules = new Map<string, Promise<void>>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #blocked = false;

  constructor(options: GraphOptions) {
    this.#options = options;
    const context = new AudioContext({ latencyHint: "interactive" });
    this.context = context;
    this.clock = new AudioClock(context);
    this.input = new GainNode(context, { channelCount: 1, channelCountMode: "explicit" });
    this.output = new GainNode(context, { gain: options.volume });
    this.bot = new AnalyserNode(context, { fftSize: 2048 });
    this.microphone = new AnalyserNode(context, { fftSize: 2048 });
    this.bot.connect(this.output).connect(context.destination);
    this.input.connect(this.microphone);
    context.onstatechange = () => {
      this.#look();
      options.onState();
    };
    this.#timer = setTimeout(() => this.#look(), START_MS);
    context.resume().catch(() => this.#look());
  }

  /** Loads a worklet once; it is a static file, since a strict page allows nothing else. */
  async load(name: "capture" | "playout"): Promise<void> {
    const known = this.#modules.get(name);
    if (known) return known;
    if (!this.context.audioWorklet) throw deviceError("speaker", "insecure_origin");
    const loading = this.#add(name).catch((error: unknown) => {
      this.#modules.delete(name);
      throw error;
    });
    this.#modules.set(name, loading);
    return loading;
  }

  async #add(name: "capture" | "playout"): Promise<void> {
    const url = await this.#addressOf(name);
    const inlined = url.protocol === "data:";
    try {
      await this.context.audioWorklet.addModule(url.href);
    } catch (cause) {
      const reason = inlined
        ? "the page's policy forbids the audio worklet, which is part of its code"
        : `the audio worklet ${url.href} cannot be loaded`;
      const advice = "serve dist/worklets of @voxwire/client and give its URL as media.workletUrl";
      // what the browser says of a URL that holds the code would hold it, too
      throw makeError("device", `${reason}: ${advice}`, inlined ? {} : { cause });
    }
  }

  async #addressOf(name: "capture" | "playout"): Promise<URL> {
    const folder = this.#options.workletUrl;
    if (folder !== undefined) {
      return new URL(`${String(folder).replace(/\/?$/, "/")}${name}.worklet.js`, document.baseURI);
    }
    // loaded when it is needed: a program that was made CommonJS (Jest) knows no import.meta
    const { besides } = await import("./worklet-urls.js");
    return besides[name]();
  }

  set volume(volume: number) {
    const level = Math.max(0, Math.min(1, volume));
    this.output.gain.setTargetAtTime(level, this.context.currentTime, VOLUME_S / 3);
  }

  /** True while the browser plays nothing: not started yet, blocked, or interrupted. */
  get suspended(): boolean {
    const { state } = this.context;
    return state !== "running" && state !== "closed";
  }

  /** To be called in a user's act; rejects with a MediaError when the browser refuses. */
  async resume(): Promise<void> {
    try {
      await this.context.resume();
    } catch (cause) {
      const reason = "the page's sound was not started: call resumeAudio() in a click";
      throw makeError("device", reason, { cause });
    } finally {
      this.#look();
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.context.onstatechange = null;
    // a processor that was told to stop ends with its next block; one that is cut off from the
    // context before that keeps the whole context in Chromium's memory
    if (this.#modules.size > 0 && this.context.state === "running") {
      await new Promise((resolve) => setTimeout(resolve, LAST_BLOCK_MS));
    }
    for (const node of [this.input, this.output, this.bot, this.microphone]) node.disconnect();
    if (this.context.state !== "closed") await this.context.close().catch(() => undefined);
  }

  #look(): void {
    const blocked = this.suspended;
    if (blocked === this.#blocked) return;
    this.#blocked = blocked;
    this.#options.logger.debug("the page's sound", { state: this.context.state });
    this.#options.onBlocked(blocked);
  }
}

/** Level of what goes through an analyser now, 0 … 1 (root mean square of the last 50 ms). */
export function levelOf(analyser: AnalyserNode): number {
  const samples = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(samples);
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return Math.min(1, Math.sqrt(sum / samples.length));
}
