/** One diagnosis: its checks in their order, each with a deadline. */
import { makeError, type VoxwireError, type wire } from "@voxwire/protocol";
import type { Media, MediaChecks } from "../../media/media.js";
import { gradeOf } from "../../media/quality.js";
import { asError, Greeting, type Lost, Refusal } from "../attach.js";
import { Dialler } from "../dialler.js";
import type { Environment } from "../environment.js";
import { Gate } from "../gate.js";
import { IceChoice } from "../ice.js";
import type { SessionOptions } from "../peer.js";
import type { Scope } from "../scope.js";
import type { Socket } from "../socket.js";
import { isLoopback } from "../url.js";
import { voxwirePeer } from "../voxwire-peer.js";
import {
  type Check,
  type CheckName,
  failed,
  fine,
  needing,
  ORDER,
  skipped,
  warning,
} from "./checks.js";
import { ECHO_MS, type Echo, Ended, Line } from "./line.js";
import { reach } from "./reach.js";
import { adviceOn, BUSY } from "./refusals.js";
import { conclude, type PathTried } from "./verdict.js";

/** How long one check may take, milliseconds. */
const CHECK_MS = 5000;
/** A round trip above which people speak into each other's words. */
const SLOW_MS = 400;

const ADVICE: { readonly [name in CheckName]?: string } = {
  secure_origin: "serve the page by HTTPS, or open it by http://localhost on the server's machine",
  token: "get a token of POST /v1/tokens, and pass it: token, or tokenSource",
  rtt: "see the server's log: it ended the session, or does not answer",
  udp: "see the server's log",
  echo: "see the server's log",
  microphone: "plug one in and allow its use, in the browser's bar and in the system's settings",
};
const OF_END: { readonly [code: string]: string } = {
  bot_failed: "mend the bot: the server's log has its traceback",
  connection_lost: "look for what closes connections: a proxy, the network, a restart",
  duration_limit: "get a token that allows longer sessions",
  going_away: "try again when the server is back",
  invalid_state: "have the bot stay: what comes behind could not be tried",
};
const NO_TIME = "no time was left";
const NETWORK = ORDER.slice(1, ORDER.indexOf("microphone"));
const MEDIA = ORDER.slice(ORDER.indexOf("webrtc"), ORDER.indexOf("udp"));

export interface DiagnoseOptions {
  readonly env: Environment;
  readonly media: Media;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number;
  readonly nonce: Uint8Array<ArrayBuffer>;
  sessionOptions(): Omit<SessionOptions, "token">;
  token(signal: AbortSignal): Promise<string>;
}

/** What an attempt gave, or the check that it failed. */
type Attempt<T> = { readonly value: T; readonly bad?: undefined } | { readonly bad: Check };

/** Makes the checks: `all`, then `close`. */
export class Run {
  readonly checks: Check[] = [];
  readonly #gate: Gate;
  #socket: Socket | undefined;
  #welcome: wire.Welcome | undefined;
  #line: Line | undefined;
  #tookMs = 0;
  /** It is wrong, and not told yet. */
  #clock: Check | undefined;
  #clockIsWrong = false;
  /** Why there is no session any more. */
  #ended: Check | undefined;
  /** What is being tried, or was last. */
  #tried: CheckName = "secure_origin";

  constructor(
    private readonly scope: Scope,
    private readonly options: DiagnoseOptions,
  ) {
    this.#gate = new Gate(scope.env);
  }

  async all(): Promise<void> {
    const media = await this.options.media.checks?.().catch(() => undefined);
    await this.#origin();
    await this.#network(media);
    await this.#close();
    await this.#microphone(media);
    this.#put(skipped("speaker", "the bot plays where the page's sound does"));
  }

  async #network(media: MediaChecks | undefined): Promise<void> {
    const { peer } = this.options.sessionOptions();
    if (peer !== voxwirePeer) {
      // what there is to try would begin a session with a bot
      this.#put(...NETWORK.map((name) => skipped(name, "a stock bot is not tried out")));
      return;
    }
    const steps = [
      () => this.#reach(),
      () => this.#letIn(),
      () => this.#roundTrip(),
      () => this.#media(media),
    ];
    for (const step of steps) {
      const stoppedBy = await step();
      if (stoppedBy) return this.#skipRest(stoppedBy);
    }
    this.#put(fine("session", "it went on as long as it was looked at"));
  }

  /** Ends the session that was opened. */
  async #close(): Promise<void> {
    const [line, socket] = [this.#line, this.#socket];
    this.#line = this.#socket = undefined;
    if (line) await line.close(this.scope).catch(() => {});
    else await socket?.close(this.scope).catch(() => {});
  }

  /** Drops what is left when time is over. */
  abort(): void {
    this.#socket?.abort();
  }

  /** Time is over, or it was called off: what was being tried fails, and the rest was not. */
  giveUp(error: unknown): void {
    const isMade = (asked: CheckName) => this.checks.some(({ name }) => name === asked);
    const { code, reason } = asError(error);
    if (!isMade("clock")) this.#putClock({ costsIt: false });
    if (!isMade(this.#tried)) {
      this.#put(failed(this.#tried, reason, "try again, with more time: timeoutMs", code));
    }
    this.#put(...ORDER.filter((name) => !isMade(name)).map((name) => skipped(name, NO_TIME)));
  }

  // making them

  #put(...checks: readonly Check[]): void {
    this.checks.push(...checks);
  }

  #putTimed(check: Check): void {
    this.#put({ ...check, durationMs: this.#tookMs });
  }

  /** What is left of the network tells nothing without that check. */
  #skipRest(needs: CheckName): void {
    const made = new Set(this.checks.map(({ name }) => name));
    for (const name of NETWORK) {
      if (name === "session" && this.#ended) this.#put(this.#ended);
      else if (!made.has(name)) this.#put(needing(name, needs));
    }
  }

  async #attempt<T>(name: CheckName, work: () => Promise<T>): Promise<Attempt<T>> {
    const beganMs = this.scope.env.now();
    this.#tried = name;
    const late = () => makeError("timeout", `it took longer than ${CHECK_MS / 1000} s`);
    try {
      return { value: await this.scope.race(work(), CHECK_MS, late) };
    } catch (error) {
      if (this.scope.closed) throw error; // all is over
      const { code, reason } = asError(error);
      return { bad: failed(name, reason, ADVICE[name] ?? "", code) };
    } finally {
      this.#tookMs = Math.round(this.scope.env.now() - beganMs);
    }
  }

  /** An attempt that is given up with the session. */
  #onLine<T>(name: CheckName, work: (line: Line, scope: Scope) => Promise<T>) {
    const line = this.#line;
    if (!line) throw makeError("internal", "there is no session");
    return this.#attempt(name, () => line.whileItLasts((scope) => work(line, scope)));
  }

  // the steps: each gives the name of the check that nothing goes on without

  async #origin(): Promise<void> {
    const secure = (globalThis as { readonly isSecureContext?: boolean }).isSecureContext;
    if (this.scope.env.platform !== "browser" || secure === undefined) {
      this.#put(skipped("secure_origin", "this is no page"));
    } else if (secure) {
      this.#put(fine("secure_origin", "the page may use the microphone"));
    } else {
      const reason = "this page is not secure, so browsers give it no microphone: use https";
      const advice = ADVICE.secure_origin ?? "";
      this.#put(failed("secure_origin", `insecure_origin: ${reason}`, advice, "permission_denied"));
    }
  }

  async #reach(): Promise<CheckName | undefined> {
    const { url } = this.options.sessionOptions();
    this.#tried = "server";
    const beganMs = this.scope.env.now();
    const { checks, socket } = await reach(this.scope, url, CHECK_MS, this.#gate);
    const tookMs = Math.round(this.scope.env.now() - beganMs);
    this.#socket = socket;
    this.#clock = checks.find(({ name, state }) => name === "clock" && state === "failed");
    for (const check of checks) {
      if (check === this.#clock || check.name === "capacity") continue;
      this.#put(check.name === "server" ? { ...check, durationMs: tookMs } : check);
    }
    if (socket) return undefined;
    this.#putClock({ costsIt: false });
    const full = checks.find(({ name }) => name === "capacity");
    if (!full) return "server";
    this.#put(needing("token", "capacity"), full);
    return "capacity";
  }

  async #letIn(): Promise<CheckName | undefined> {
    const socket = this.#socket;
    if (!socket) return "server";
    const { env, media, nonce } = this.options;
    let refused: VoxwireError | undefined;
    const attempt = await this.#attempt("token", async () => {
      const token = await this.options.token(this.scope.signal);
      const greeting = new Greeting(env, {
        ...{ ...this.options.sessionOptions(), token, tools: [], resume: false, nonce },
        webrtc: media.carriers.includes("webrtc"),
      });
      const untapped = () => {};
      const dialler = new Dialler(greeting, this.#gate, () => 0, untapped);
      dialler.greet(socket);
      try {
        return await dialler.readWelcome(this.scope, socket);
      } catch (error) {
        if (error instanceof Refusal) refused = error.error;
        throw error;
      }
    });
    const { value: welcome, bad } = unwrapped(attempt);
    this.#putClock({ costsIt: bad?.code === "unauthorized" });
    if (bad) return this.#notLetIn(bad, refused);
    this.#welcome = welcome;
    this.#line = new Line(this.scope, socket);
    const bot = welcome?.bot || "(no name)";
    this.#putTimed(fine("token", `the server lets this client in, to the bot ${bot}`));
    this.#put(fine("capacity", "the server has room"));
    return undefined;
  }

  /** Why: the server is full, a clock is wrong, or else it is the token. */
  #notLetIn(bad: Check, refused: VoxwireError | undefined): CheckName {
    if (refused && (BUSY.test(refused.code) || refused.code === "going_away")) {
      const full = failed("capacity", bad.detail, adviceOn(refused), refused.code);
      this.#put(needing("token", "capacity"), full);
      return "capacity";
    }
    if (bad.code === "unauthorized" && this.#clockIsWrong) {
      this.#put(needing("token", "clock"));
      return "clock";
    }
    this.#putTimed({ ...bad, advice: (refused && adviceOn(refused)) || bad.advice });
    return "token";
  }

  /** Tells of a clock that is wrong: a fault where it costs the session, else a warning. */
  #putClock({ costsIt }: { readonly costsIt: boolean }): void {
    if (!this.#clock) return;
    this.#clockIsWrong = true;
    this.#put({ ...this.#clock, state: costsIt ? "failed" : "warning" });
  }

  async #roundTrip(): Promise<CheckName | undefined> {
    const { value: bestMs, bad } = unwrapped(
      await this.#onLine("rtt", (line, scope) => line.bestPing(scope)),
    );
    if (this.#line?.lost instanceof Ended) return this.#over(this.#line.lost);
    if (bad || bestMs === undefined) {
      if (bad) this.#putTimed(bad);
      return "rtt";
    }
    const detail = `${bestMs.toFixed(0)} ms there and back`;
    const advice = "use a server that is nearer, or another network";
    this.#putTimed(
      bestMs > SLOW_MS
        ? warning("rtt", `${detail}: too long for a conversation`, advice)
        : fine("rtt", detail),
    );
    return undefined;
  }

  /** The session is over, which is nobody's fault but that of what ended it. */
  #over({ error: { code, reason } }: Lost): CheckName {
    const advice = OF_END[code] ?? "see the server's log: it ended the session";
    this.#ended = failed("session", reason, advice, code);
    return "session";
  }

  async #media(media: MediaChecks | undefined): Promise<CheckName | undefined> {
    const canTry = this.options.media.carriers.includes("webrtc") ? media : undefined;
    const servers = this.#iceServers();
    // one after the other, so that a session's own allocation has the quota for itself
    const asked = unwrapped(
      await this.#onLine("udp", async () => (servers.length > 0 ? canTry?.ask(servers) : [])),
    ).value;
    const { value: tried, bad } = unwrapped(
      await this.#onLine("udp", async (line, scope): Promise<PathTried> => {
        if (canTry) return line.openPath(scope, canTry, servers);
        const detail = "there is no WebRTC here, the WebSocket carries the audio";
        return { state: "absent", detail };
      }),
    );
    if (this.#line?.lost) return this.#over(this.#line.lost);
    if (!tried) {
      this.#put(...MEDIA.map((name) => needing(name, "udp")));
      if (bad) this.#putTimed(bad);
      return "udp";
    }
    const around = { clockIsWrong: this.#clockIsWrong, nowS: Date.now() / 1000 };
    const checks = conclude(asked, tried, around);
    this.#put(...checks);
    if (tried.state === "up") return this.#echo();
    const cause = checks.find(({ state, name }) => state === "failed" && name !== "stun");
    const told = "WebRTC carries no audio here";
    this.#put(cause ? needing("echo", cause.name) : skipped("echo", told));
    return undefined;
  }

  async #echo(): Promise<CheckName | undefined> {
    const { value: echo, bad } = unwrapped(
      await this.#onLine("echo", (line, scope) => line.echo(scope)),
    );
    if (this.#line?.lost) return this.#over(this.#line.lost);
    const check = echo ? ofEcho(echo) : bad;
    if (check) this.#putTimed(check);
    return undefined;
  }

  async #microphone(media: MediaChecks | undefined): Promise<void> {
    if (!media) {
      this.#put(skipped("microphone", "this client's media has none"));
      return;
    }
    const { value, bad } = unwrapped(await this.#attempt("microphone", () => media.microphone()));
    this.#putTimed(bad ?? fine("microphone", value ?? ""));
  }

  #iceServers(): readonly RTCIceServer[] {
    const { url, iceServers } = this.options.sessionOptions();
    const ice = new IceChoice(iceServers, "all", isLoopback(url));
    ice.learn(this.#welcome?.iceServers ?? []);
    return ice.options.iceServers;
  }
}

function unwrapped<T>(attempt: Attempt<T>): { readonly value?: T; readonly bad?: Check } {
  return attempt.bad ? { bad: attempt.bad } : { value: attempt.value };
}

/** What was counted, in words. */
function ofEcho({ rttMs, jitterMs, received, lostDown, lostUp }: Echo): Check {
  const share = (part: number | undefined) =>
    part === undefined ? "unknown" : `${(part * 100).toFixed(1)}%`;
  const rtt = rttMs === undefined ? "" : `${rttMs.toFixed(0)} ms there and back, `;
  const jitter = jitterMs === undefined ? "" : `, jitter ${jitterMs.toFixed(0)} ms`;
  const lost = `lost ${share(lostDown)} down and ${share(lostUp)} up`;
  const detail = `${rtt}${lost} in ${ECHO_MS / 1000} s${jitter}`;
  if (received === 0) {
    const advice = "see the server's log: the connection is up and carries nothing";
    return failed("echo", "no packet of the server came", advice, "connection_lost");
  }
  const worst = Math.max(lostDown ?? 0, lostUp ?? 0);
  const grade = gradeOf({ rttMs, jitterMs, loss: worst, bufferedMs: 0 }, false);
  if (grade !== "poor") return fine("echo", detail);
  const advice = "use another network, a cable in place of a radio, or a server that is nearer";
  return warning("echo", detail, advice);
}
