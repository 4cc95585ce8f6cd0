/** What the page offers to the tests; nothing of Pipecat's is in it. */

export type Transport = "webrtc" | "websocket";

/** A callback of the client that was called. */
export interface Noted {
  readonly type: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the client hands to its callback
  readonly data: any;
  /** How far the ear was then, in its samples. */
  readonly at: number;
}

/** Everything that was heard in the page, 4000 samples a second, from its beginning. */
export interface Ear {
  readonly rate: number;
  /** Samples so far. */
  readonly length: number;
  /** Index of the first sample from there on that is a sound, or -1. */
  loudFrom(from: number): number;
  /** Index of the last sample that was a sound, or -1. */
  lastLoud(): number;
  /** Index of the first silence of that length from there on, or -1. */
  silentFrom(from: number, ms: number): number;
  /** Samples up to there. */
  before(end: number, count: number): number[];
}

/** JSON, as the clients take it. */
export type Asked = string | number | boolean | Asked[] | { [name: string]: Asked };

/** How a page gets to its bot: by `startBotAndConnect` (`POST /start`), or by `connect` alone. */
export interface Way {
  readonly how: "start" | "connect";
  readonly endpoint: string;
  readonly token?: string | undefined;
  /** What it asks of its session, as JSON. */
  readonly asked?: Asked | undefined;
}

export interface StockPage {
  readonly events: Noted[];
  /** Calls that the page was asked to run. */
  readonly calls: unknown[];
  readonly ear: Ear;
  open(transport: Transport, way: Way): Promise<void>;
  /** Plays a WAV into the microphone; resolves when it is over. */
  say(wav: string): Promise<void>;
  sendText(text: string, options?: { readonly audio_response?: boolean }): Promise<void>;
  sendMessage(type: string, data?: unknown): void;
  request(type: string, data?: unknown): Promise<unknown>;
  disconnect(): Promise<void>;
  disconnectBot(): void;
  state(): string;
  /** The data of every callback of one type. */
  // biome-ignore lint/suspicious/noExplicitAny: as in `Noted`
  of(type: string): any[];
  /** Words told as they sounded, from that callback on. */
  spoken(from?: number): string;
}

declare global {
  interface Window {
    stock: StockPage;
  }
}
