/** What stands between this client and a conversation, one check after the other. */
import { makeError, wire } from "@voxwire/protocol";
import type { Diagnosis } from "../api.js";
import type { Media } from "../media/media.js";
import { asError, Greeting } from "./attach.js";
import { Dialler } from "./dialler.js";
import type { Environment } from "./environment.js";
import { Gate } from "./gate.js";
import { IceChoice } from "./ice.js";
import type { SessionOptions } from "./peer.js";
import { Scope } from "./scope.js";
import type { Socket } from "./socket.js";
import { isLoopback } from "./url.js";
import { voxwirePeer } from "./voxwire-peer.js";

type Check = Diagnosis["checks"][number];
type Name = Check["name"];

const CHECK_MS = 5000;
const PINGS = 3;
const SERVER_CHECKS = ["server", "token", "rtt"] as const;

export interface DiagnoseOptions {
  readonly env: Environment;
  readonly media: Media;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number;
  readonly nonce: Uint8Array<ArrayBuffer>;
  sessionOptions(): Omit<SessionOptions, "token">;
  token(signal: AbortSignal): Promise<string>;
}

/** Opens a session, without media, and ends it again. Never rejects. */
export async function diagnose(options: DiagnoseOptions): Promise<Diagnosis> {
  const scope = new Scope(options.env);
  const stop = () => scope.close(options.signal?.reason);
  options.signal?.addEventListener("abort", stop);
  if (options.signal?.aborted) stop();
  const late = () => scope.close(makeError("timeout", "the diagnosis took too long"));
  scope.after(options.timeoutMs, late);
  try {
    const run = new Diagnoser(scope, options);
    await run.all();
    return { ok: run.checks.every(({ state }) => state !== "failed"), checks: run.checks };
  } finally {
    options.signal?.removeEventListener("abort", stop);
    scope.close();
  }
}

class Diagnoser {
  readonly checks: Check[] = [];
  readonly #gate: Gate;
  #socket: Socket | undefined;
  #welcome: wire.Welcome | undefined;

  constructor(
    private readonly scope: Scope,
    private readonly options: DiagnoseOptions,
  ) {
    this.#gate = new Gate(scope.env);
  }

  async all(): Promise<void> {
    const { media } = this.options;
    await this.#check("secure_origin", async () => this.#origin());
    await this.#check("microphone", () =>
      media.checks?.().then(({ check }) => check("microphone", this.#iceServers())),
    );
    try {
      await this.#server();
    } finally {
      this.#socket?.send(wire.encodeEnvelope(wire.envelope({ case: "bye", value: {} }, ONE)));
      await this.#socket?.close(new Scope(this.scope.env));
    }
    await this.#check("stun", () =>
      media.checks?.().then(({ check }) => check("stun", this.#iceServers())),
    );
    await this.#check("turn", () =>
      media.checks?.().then(({ check }) => check("turn", this.#iceServers())),
    );
  }

  async #server(): Promise<void> {
    const { media, env } = this.options;
    let dialler: Dialler | undefined;
    if (this.options.sessionOptions().peer !== voxwirePeer) {
      // what else there is to try would begin a session with a bot
      for (const name of SERVER_CHECKS) await this.#check(name, async () => undefined);
      return;
    }
    await this.#check("server", async () => {
      const session = this.options.sessionOptions();
      const token = await this.options.token(this.scope.signal);
      const greeting = new Greeting(env, {
        ...{ ...session, token, tools: [], resume: false, nonce: this.options.nonce },
        webrtc: media.carriers.includes("webrtc"),
      });
      dialler = new Dialler(
        greeting,
        this.#gate,
        () => 0,
        () => {},
      );
      this.#socket = await dialler.openFirst(this.scope, CHECK_MS);
      return `${new URL(session.url).host} opened the control channel`;
    });
    await this.#check("token", async () => {
      if (!dialler || !this.#socket) return undefined;
      dialler.greet(this.#socket);
      this.#welcome = await dialler.readWelcome(this.scope, this.#socket);
      return "the server lets this client in";
    });
    await this.#check("rtt", async () => (this.#welcome ? this.#rtt() : undefined));
  }

  #origin(): string | undefined {
    const secure = (globalThis as { readonly isSecureContext?: boolean }).isSecureContext;
    if (this.scope.env.platform !== "browser" || secure === undefined) return undefined;
    if (secure) return "the page may use the microphone";
    const reason = "this page is not secure, so browsers give it no microphone: use https";
    throw makeError("permission_denied", `insecure_origin: ${reason}`);
  }

  #iceServers(): readonly RTCIceServer[] {
    const { url, iceServers, icePolicy } = this.options.sessionOptions();
    const ice = new IceChoice(iceServers, icePolicy, isLoopback(url));
    ice.learn(this.#welcome?.iceServers ?? []);
    return ice.options.iceServers;
  }

  async #rtt(): Promise<string> {
    const socket = this.#socket;
    if (!socket) return "";
    let bestMs = Number.POSITIVE_INFINITY;
    for (let number = 1; number <= PINGS; number++) {
      const sentMs = this.scope.env.now();
      const ping = wire.envelope({ case: "ping", value: { number } });
      socket.send(wire.encodeEnvelope(ping));
      for (;;) {
        const data = await socket.read(this.scope);
        const { payload } = wire.decodeEnvelope(data as Uint8Array);
        if (payload.case === "pong" && payload.value.number === number) break;
      }
      bestMs = Math.min(bestMs, this.scope.env.now() - sentMs);
    }
    return `${bestMs.toFixed(1)} ms`;
  }

  /** Runs one check: `ok` with what it says, `skipped` without, `failed` with what it throws. */
  async #check(name: Name, run: () => Promise<string | undefined> | undefined): Promise<void> {
    const { env } = this.scope;
    const startMs = env.now();
    const late = () => makeError("timeout", "no answer in time");
    const fields = { state: "skipped", detail: "does not apply here" } as Partial<Check>;
    try {
      const detail = await this.scope.race(Promise.resolve(run()), CHECK_MS, late);
      if (detail !== undefined) Object.assign(fields, { state: "ok", detail });
    } catch (error) {
      const { code, reason } = asError(error);
      Object.assign(fields, { state: "failed", code, detail: reason });
    }
    const durationMs = Math.round(env.now() - startMs);
    this.checks.push({ name, ...fields, durationMs } as Check);
  }
}

const ONE = { seq: 1 };
