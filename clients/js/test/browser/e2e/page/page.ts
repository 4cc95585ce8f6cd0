/** Clients in a page, with everything that they told and what was heard of them. */

import { dailyMedia } from "../../../../packages/client/src/daily/index.js";
import type {
  AnyEvent,
  Client,
  ClientOptions,
  ClientStatus,
  ConnectOptions,
} from "../../../../packages/client/src/index.js";
import { createClient, tool } from "../../../../packages/client/src/index.js";
import { pipecatBot } from "../../../../packages/client/src/rtvi/index.js";
import { VoxwireError, wire } from "../../../../packages/protocol/src/index.js";
import { held, troubles } from "./counting.js";
import { fakeDaily } from "./fake-daily.js";
import { show } from "./log.js";
import { Mouth } from "./mouth.js";
import { tapOutput } from "./tap.js";

const MEDIA = { workletUrl: "/page/worklets/", rememberDevices: false };
const DAILY = { ...MEDIA, daily: fakeDaily };

export interface Noted {
  readonly type: string;
  readonly event: unknown;
  readonly atMs: number;
}

const TYPES = [
  ..."status sessionStarted sessionEnded connectionChanged pathChanged eventsSkipped".split(" "),
  ..."stateChanged userTranscript botResponseStarted utteranceStarted utteranceEnded".split(" "),
  ..."botWord interrupted flushed toolCallStarted toolCallEnded appMessage error".split(" "),
  ..."playbackBlocked devices ignored".split(" "),
] as AnyEvent["type"][];

/** A client and what it told. */
export class Talk {
  readonly client: Client;
  readonly events: Noted[] = [];
  /** Reliable messages as they were delivered, hexadecimal, without what the channel adds. */
  readonly delivered: string[] = [];
  readonly calls: { readonly name: string; readonly args: unknown }[] = [];
  readonly flushes: number[] = [];
  readonly sound: ReturnType<typeof tapOutput>;
  /** Results as a bot gets them from a Voxwire server: the offline bot looks for that, and a stock
   * runner passes on what a client says. */
  wrapsResults = false;
  counted = 0;
  #counter: ReturnType<typeof setInterval> | undefined;

  constructor(options: Partial<ClientOptions>, tapped: boolean) {
    this.client = createClient({
      url: "/",
      ...options,
      media: options.media ?? (options.transport === "daily" ? dailyMedia(DAILY) : MEDIA),
      tools: [this.#map()],
    });
    for (const type of TYPES) {
      this.client.on(type, (event) => {
        this.events.push({ type, event, atMs: performance.now() });
      });
    }
    this.client.tap((direction, envelope) => {
      if (direction === "in") this.#note(envelope);
    });
    this.client.conversation.subscribe(() => show(this.client.conversation.get()));
    this.sound = tapped ? tapOutput(this.client) : { heard: [], behind: [] };
  }

  connect(options?: ConnectOptions): Promise<void> {
    return this.client.connect(options);
  }

  /** Everything so far, to be read from outside the page. */
  snapshot() {
    const { events, delivered, calls, flushes, counted, client } = this;
    const { heard, behind } = this.sound;
    const { turns } = client.conversation.get();
    return { events, delivered, calls, flushes, counted, heard, behind, turns };
  }

  /** How many words were heard. */
  words(): number {
    return this.events.filter(({ type }) => type === "botWord").length;
  }

  /** Number of the path in use. */
  path(): number {
    const last = this.events.findLast(({ type }) => type === "pathChanged");
    return (last?.event as { pathId: number } | undefined)?.pathId ?? 0;
  }

  /** When the client said first that it reconnects, and last that it is ready, after a moment. */
  turnings(afterMs: number): { readonly reconnecting: number; readonly ready: number } {
    const said = (status: string) =>
      this.events
        .filter(({ type, event, atMs }) => {
          return atMs > afterMs && type === "status" && (event as ClientStatus).status === status;
        })
        .map(({ atMs }) => atMs);
    return {
      reconnecting: said("reconnecting")[0] ?? Number.POSITIVE_INFINITY,
      ready: said("ready").at(-1) ?? Number.NEGATIVE_INFINITY,
    };
  }

  /** True when it reconnected after a moment and is ready since. */
  readySince(afterMs: number): boolean {
    const { reconnecting, ready } = this.turnings(afterMs);
    return ready > reconnecting && this.client.status.get().status === "ready";
  }

  /** Lets the bot of clicks speak, sentence after sentence. */
  async keepTalking(): Promise<void> {
    this.client.on("utteranceEnded", () => void this.client.sendText("say 40"));
    await this.client.sendText("say 40");
  }

  /** Sends a number every 100 ms. */
  count(): void {
    this.#counter = setInterval(() => {
      void this.client.sendMessage("n", this.counted);
      this.counted += 1;
    }, 100);
  }

  stopCounting(): void {
    clearInterval(this.#counter);
  }

  /** Forgets what was noted of sound and words. */
  forget(): void {
    this.events.length = 0;
    this.sound.heard.length = 0;
    this.flushes.length = 0;
  }

  #note(envelope: wire.Envelope): void {
    const { payload } = envelope;
    if (payload.case === "flush") this.flushes.push(performance.now());
    if (!payload.case || !wire.RELIABLE_PAYLOADS.has(payload.case)) return;
    const bytes = wire.encodeEnvelope({ ...envelope, seq: 0n, ack: 0n } as wire.Envelope);
    this.delivered.push([...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(""));
  }

  #map() {
    const parameters = {
      type: "object",
      properties: { place: { type: "string" } },
      required: ["place"],
    } as const;
    const run = async ({ place }: { place: string }) => {
      this.calls.push({ name: "show_on_map", args: { place } });
      return this.wrapsResults ? { result: place } : `${place}, <img src=x onerror=pwn()> pinned`;
    };
    return tool("show_on_map", parameters, run, { description: "Shows a place on the map." });
  }
}

const talks: Record<string, Talk> = {};

/** Makes a client and does not connect it. */
function make(name: string, options: Partial<ClientOptions> = {}, tapped = true): Talk {
  const talk = new Talk(options, tapped);
  talks[name] = talk;
  return talk;
}

function talk(name: string): Talk {
  const known = talks[name];
  if (known) return known;
  throw new Error(`no client is called ${name}`);
}

/** How a promise settled. */
export interface Outcome {
  readonly settled: "resolved" | "rejected";
  readonly ms: number;
  readonly name?: string;
  readonly code?: string;
  readonly reason?: string;
}

async function outcome(promise: Promise<unknown>): Promise<Outcome> {
  const beganMs = performance.now();
  const ms = () => Math.round(performance.now() - beganMs);
  try {
    await promise;
    return { settled: "resolved", ms: ms() };
  } catch (error) {
    const name = error instanceof Error || error instanceof DOMException ? error.name : "?";
    const ours = error instanceof VoxwireError ? { code: error.code, reason: error.reason } : {};
    return { settled: "rejected", ms: ms(), name, ...ours };
  }
}

/** What somebody does to a client that connects. */
export type Act = "connect" | "disconnect" | "abort";

/** Connects a new client and, after a while, does something; when it is over the client is
 * disconnected in any case. */
async function act(
  how: Act,
  options: Partial<ClientOptions>,
  { timeoutMs, afterMs }: { readonly timeoutMs: number; readonly afterMs: number },
): Promise<{ readonly connect: Outcome; readonly parting: Outcome; readonly status: string }> {
  const { client } = make("act", options, false);
  const controller = new AbortController();
  const connecting = outcome(client.connect({ timeoutMs, signal: controller.signal }));
  if (how !== "connect") await new Promise((resolve) => setTimeout(resolve, afterMs));
  if (how === "abort") controller.abort();
  if (how !== "disconnect") await connecting;
  const parting = await outcome(client.disconnect());
  return { connect: await connecting, parting, status: client.status.get().status };
}

let mouth: Mouth | undefined;

/** Gives the page a microphone that says what `say` tells it to. */
function giveMouth(): void {
  mouth ??= new Mouth();
}

async function say(url: string): Promise<void> {
  await mouth?.say(url);
}

const e2e = { act, giveMouth, make, pipecatBot, say, talk, talks, outcome, held, troubles };
declare global {
  interface Window {
    e2e: typeof e2e;
  }
}
window.e2e = e2e;
