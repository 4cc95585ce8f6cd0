/** Dialling the server, and what stands between when it does not go well. */
import type { VoxwireError } from "@voxwire/protocol";
import * as wire from "@voxwire/protocol/wire";
import { asError } from "../attach.js";
import { askAt, refusalOf, verdict } from "../explain.js";
import type { HttpAnswer } from "../http-answer.js";
import type { Passage } from "../peer.js";
import type { Scope } from "../scope.js";
import { Socket } from "../socket.js";
import { isLoopback } from "../url.js";
import { type Check, failed, fine, needing, skipped, warning } from "./checks.js";
import { adviceOn, BUSY } from "./refusals.js";

/** A clock that is wrong by more makes tokens and certificates fail, seconds. */
const CLOCK_S = 30;
const UNEVEN_S = 5;
const PATH = "/v1/session";

const UPGRADE =
  "let the proxy pass the upgrade on. nginx: proxy_http_version 1.1;" +
  " proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade";
const START =
  "start the server, and check host, port and firewall; a browser tells no page of a wrong name or" +
  " a bad certificate: open the server's address in a tab of its own";
const ALLOW = "see VOXWIRE_PUBLIC_URL and VOXWIRE_ALLOWED_ORIGINS, or what the proxy allows";

/** What dialling came to: `name`, `tls`, `server` and `clock`; and `capacity` of a full server. */
export interface Reached {
  readonly checks: readonly Check[];
  readonly socket?: Socket;
}

/** Dials once, and asks over HTTP where a proxy may be in the way. Takes `timeoutMs` at most, and
 * 1.5 s to ask. */
export async function reach(
  scope: Scope,
  url: string,
  timeoutMs: number,
  gate: Passage,
): Promise<Reached> {
  const { host } = new URL(url);
  const askedS = Date.now() / 1000;
  try {
    const socket = await Socket.dial(scope, url, timeoutMs, gate);
    const server = fine("server", `${host} opened the control channel`);
    const date = (await askAt(scope, url))?.date;
    return { checks: [...found(url), server, clockOf(date, askedS)], socket };
  } catch (failure) {
    if (scope.closed) throw failure;
    return { checks: await explain(scope, url, asError(failure), askedS) };
  }
}

/** A page is not told why a host was not found, or whose certificate is not good. */
function found(url: string): readonly Check[] {
  const name = fine("name", `this browser finds ${new URL(url).hostname}`);
  if (url.startsWith("wss:")) {
    return [name, fine("tls", "TLS, and the certificate is good here")];
  }
  if (isLoopback(url)) {
    return [name, skipped("tls", "not encrypted, and it need not be on this machine")];
  }
  const told = "not encrypted: tokens and voices can be read on the way";
  return [name, warning("tls", told, "use wss://, behind a proxy that speaks TLS")];
}

/** This machine's clock beside the `Date` of an answer (RFC 9110 §6.6.1), which a page of another
 * origin may not read. */
function clockOf(date: string | undefined, askedS: number): Check {
  const theirsS = Date.parse(date ?? "") / 1000 + 0.5; // a whole second, cut off
  if (Number.isNaN(theirsS)) return skipped("clock", "the server did not tell its time");
  const offS = (askedS + Date.now() / 1000) / 2 - theirsS;
  if (Math.abs(offS) <= UNEVEN_S) return fine("clock", "as the server's, to a few seconds");
  const side = offS > 0 ? "ahead of" : "behind";
  const detail = `this machine's clock is ${Math.abs(offS).toFixed(0)} s ${side} the server's`;
  const advice = "set the clock that is wrong, by NTP: timedatectl set-ntp true";
  if (Math.abs(offS) <= CLOCK_S) return warning("clock", detail, advice);
  return failed("clock", `${detail}; tokens and TLS go by it`, advice, "unauthorized");
}

/** What a dial that failed means. */
async function explain(
  scope: Scope,
  url: string,
  error: VoxwireError,
  askedS: number,
): Promise<readonly Check[]> {
  const answer = await askAt(scope, url);
  if (!answer) {
    const server = failed("server", error.reason, START, error.code);
    const nothing = (["name", "tls"] as const).map((name) => needing(name, "server"));
    return [...nothing, server, needing("clock", "server")];
  }
  const told = verdict(new URL(url), answer, error);
  const clock = clockOf(answer.date, askedS);
  const { host } = new URL(url);
  if (BUSY.test(told.code)) {
    const full = failed("capacity", told.reason, adviceOn(told), told.code);
    return [...found(url), fine("server", `${host} answers`), clock, full];
  }
  const advice = await adviceFor(scope, url, answer, told);
  return [...found(url), failed("server", told.reason, advice, told.code), clock];
}

/** What to do about a server that answers over HTTP and opens no WebSocket. */
async function adviceFor(
  scope: Scope,
  url: string,
  answer: HttpAnswer,
  told: VoxwireError,
): Promise<string> {
  if (told.code === "forbidden" || told.code === "unauthorized" || answer.status === 0) {
    return ALLOW;
  }
  if (refusalOf(answer) === "" && answer.status >= 500) {
    return "start the server; see the proxy's log";
  }
  if (isOurs(answer)) return UPGRADE;
  const where = new URL(url);
  const prefix = where.pathname.replace(PATH, "");
  if (!prefix) return "add the path that the server is mounted at, as in wss://host/voice";
  const root = `${where.protocol}//${where.host}`;
  const there = await askAt(scope, `${root}${PATH}`);
  return there && isOurs(there)
    ? `leave out ${prefix}: the server is at ${root}`
    : "check the path: it is where the server is mounted, or what its proxy leaves of it";
}

/** Whether the control channel's path answers as ours does to plain HTTP. */
function isOurs({ status, body }: HttpAnswer): boolean {
  return status >= 200 && status < 300 && body.includes(`"${wire.SUBPROTOCOL}"`);
}
