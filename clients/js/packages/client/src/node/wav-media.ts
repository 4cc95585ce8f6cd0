/** Microphone and speaker of a program: WAV files (the headless contract of `voxwire talk`). */
import type { ClientEvents } from "@voxwire/protocol";
import type { MediaFactory, Microphone } from "../api.js";
import { CAPTURE_RATE, HeadlessMedia, PLAYOUT_RATE } from "../media/headless-media.js";
import type { MediaHost } from "../media/media.js";
import { TurnScript } from "./turn-script.js";
import { readWav, TimelineWriter } from "./wav.js";
import { WavSound } from "./wav-sound.js";

export interface WavMediaOptions {
  /** What the user says, one after the other: a WAV file of any rate. The next one is played when
   * the bot's turn has ended, the first when its greeting has; `file.wav@1500` is played 1500 ms
   * after the bot's next first word instead (a barge-in). */
  readonly input?: string | readonly string[] | undefined;
  /** WAV file of what the bot said: the media clock itself, silence where nothing was heard. */
  readonly output?: string | undefined;
}

/** `media` of `createClient`, and how far it is. */
export interface WavMedia extends MediaFactory {
  /** Resolves when every input was said and the bot's answer to the last one has ended. */
  readonly done: Promise<void>;
  /** Says a WAV file now; resolves at its end. */
  play(path: string): Promise<void>;
}

/** Reads the files; throws a MediaError when one cannot be read or written. */
export function wavMedia({ input, output }: WavMediaOptions = {}): WavMedia {
  const microphone = new ClipMicrophone(input !== undefined);
  const steps = [input ?? []].flat().map((step) => {
    const [, path = step, afterMs] = /^(.*)@(\d+)$/.exec(step) ?? [];
    const clip = readWav(path, CAPTURE_RATE);
    return { play: () => microphone.play(clip), afterMs: afterMs ? Number(afterMs) : undefined };
  });
  const script = new TurnScript(steps);
  let writer: TimelineWriter | undefined;
  const media = new HeadlessMedia({
    microphone,
    read: (count) => microphone.read(count),
    sound: (pathId, changed) =>
      new WavSound({
        ...{ pathId, changed },
        write: (position, samples) => writer?.write(position, samples),
      }),
    async begin(host) {
      writer = output === undefined ? undefined : new TimelineWriter(output, PLAYOUT_RATE);
      script.begin();
      host.signal.addEventListener("abort", () => script.end());
    },
    async end() {
      script.end();
      microphone.stop();
      writer?.close();
      writer = undefined;
    },
  });
  const start = media.start.bind(media);
  media.start = (host) => start(watched(host, script));
  const play = (path: string) => microphone.play(readWav(path, CAPTURE_RATE));
  return Object.assign(() => media, { done: script.done, play });
}

/** Tells the script what the host is told. */
function watched(host: MediaHost, script: TurnScript): MediaHost {
  return {
    ...{ loopback: host.loopback, signal: host.signal },
    send: (payload) => host.send(payload),
    emit(type, event) {
      host.emit(type, event);
      if (type === "botWord") script.word((event as ClientEvents["botWord"]).utteranceId);
      if (type === "flushed") script.cut();
      if (type !== "stateChanged") return;
      const { bot, user } = event as ClientEvents["stateChanged"];
      script.state(bot, user);
    },
  };
}

/** Says clips in real time and is silent between them. */
class ClipMicrophone implements Microphone {
  enabled: boolean;
  #clips: { readonly samples: Int16Array; at: number; readonly done: () => void }[] = [];
  #used: boolean;

  constructor(enabled: boolean) {
    this.enabled = this.#used = enabled;
  }

  async setEnabled(enabled: boolean): Promise<void> {
    this.enabled = enabled;
  }

  hold(): () => void {
    this.enabled = true;
    return () => {
      this.enabled = false;
    };
  }

  play(samples: Int16Array): Promise<void> {
    if (!this.#used) this.enabled = this.#used = true;
    return new Promise((done) => this.#clips.push({ samples, at: 0, done }));
  }

  /** The next samples; undefined while the user is not heard. */
  read(count: number): Int16Array | undefined {
    const block = new Int16Array(count);
    for (let filled = 0; filled < count; ) {
      const clip = this.#clips[0];
      if (!clip) break;
      const piece = clip.samples.subarray(clip.at, clip.at + count - filled);
      block.set(piece, filled);
      filled += piece.length;
      clip.at += piece.length;
      if (clip.at < clip.samples.length) continue;
      this.#clips.shift();
      clip.done();
    }
    return this.enabled ? block : undefined;
  }

  stop(): void {
    for (const { done } of this.#clips.splice(0)) done();
  }
}
