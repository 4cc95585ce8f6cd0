/** What a client takes from the program that it runs in; replaced in tests by virtual ones. */
import type { HttpAnswer } from "./http-answer.js";

/** What is used of a WebSocket: the browser's, Node's, `ws`, or a loopback. */
export interface WebSocketLike {
  binaryType: string;
  readonly protocol: string;
  readonly readyState: number;
  readonly bufferedAmount: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  /** Drops the connection without a closing handshake, where that can be done. */
  terminate?(): void;
}

export interface Environment {
  /** Monotonic clock, milliseconds. */
  now(): number;
  /** Calls `fn` after `ms` milliseconds; returns what calls it off. */
  after(ms: number, fn: () => void): () => void;
  /** Begins to open a WebSocket; an empty protocol asks for none. */
  openSocket(url: string, protocol: string): WebSocketLike | Promise<WebSocketLike>;
  /** Asks the server over HTTP why it does not open a WebSocket; rejects when nothing answers.
   * Absent = `fetch` does. */
  ask?(url: string, signal: AbortSignal): Promise<HttpAnswer>;
  /** Waits for code that is fetched when it is first needed. */
  load<T>(code: Promise<T>): Promise<T>;
  randomBytes(length: number): Uint8Array<ArrayBuffer>;
  /** A number from 0 to 1 that spreads retries. */
  jitter(): number;
  /** What a relative URL is relative to; undefined = there is no page. */
  baseUrl(): string | undefined;
  /** Calls `fn` whenever the network may be back; returns what ends that. */
  onOnline(fn: () => void): () => void;
  /** Calls `fn` when the page is left for good; returns what ends that. */
  onLeave(fn: () => void): () => void;
  /** Name of the platform, for the server's log. */
  readonly platform: string;
}

/** Some of an environment; what is left out, or undefined, is the program's own. */
export type PartialEnvironment = { readonly [K in keyof Environment]?: Environment[K] | undefined };

/** The program's own environment with some of it replaced. */
export function environmentWith(own: PartialEnvironment = {}): Environment {
  const given = Object.entries(own).filter(([, value]) => value !== undefined);
  return { ...realEnvironment(), ...Object.fromEntries(given) };
}

/** A random name, two hex digits for each byte. */
export function randomId(env: Environment, numBytes: number): string {
  const digits = [...env.randomBytes(numBytes)].map((byte) => byte.toString(16).padStart(2, "0"));
  return digits.join("");
}

/** Of `pagehide`: the page may be shown again as it is. */
interface Leaving {
  readonly persisted?: boolean;
}

interface Globals {
  readonly location?: { readonly href?: string };
  readonly WebSocket?: new (url: string, protocol: string | string[]) => WebSocketLike;
  readonly process?: { readonly versions?: { readonly node?: string } };
  readonly document?: unknown;
  addEventListener?(type: string, listener: (event: Leaving) => void): void;
  removeEventListener?(type: string, listener: (event: Leaving) => void): void;
}

/** The program's own clock, timers and network; looked up at each use, never at import. */
export const realEnvironment = (): Environment => {
  const globals = globalThis as unknown as Globals;
  return {
    now: () => performance.now(),
    after(ms, fn) {
      const timer = setTimeout(fn, Math.min(ms, 2e9)); // from 2 ** 31 on it would be 0
      return () => clearTimeout(timer);
    },
    openSocket(url, protocol) {
      if (globals.WebSocket === undefined) {
        throw new ReferenceError("there is no WebSocket here");
      }
      return new globals.WebSocket(url, protocol || []);
    },
    load: (code) => code,
    randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
    jitter: () => Math.random(),
    baseUrl: () => globals.location?.href,
    onOnline(fn) {
      globals.addEventListener?.("online", fn);
      return () => globals.removeEventListener?.("online", fn);
    },
    onLeave(fn) {
      const left = ({ persisted }: Leaving) => {
        if (persisted !== true) fn();
      };
      globals.addEventListener?.("pagehide", left);
      return () => globals.removeEventListener?.("pagehide", left);
    },
    platform: globals.process?.versions?.node ? "node" : globals.document ? "browser" : "worker",
  };
};
