/** What STUN, TURN and the WebRTC path say together: one cause, one failure. Pure; the same as in
 * Python (protocol/vectors/diagnosis). */
import type { Asked, Kind } from "../../media/asked.js";
import { type Check, type CheckName, failed, fine, needing, skipped, warning } from "./checks.js";

type Relaying = Exclude<Kind, "stun">;

/** What became of the WebRTC path. */
export interface PathTried {
  /** `absent` = none was tried. */
  readonly state: "absent" | "up" | "failed";
  /** Why it failed, or was not tried. */
  readonly detail?: string;
  /** It failed because packets did not come through. */
  readonly network?: boolean;
  /** It is up, and goes through TURN. */
  readonly relayed?: boolean;
  readonly tookMs?: number;
}

export interface Circumstances {
  /** Whether that was found already. */
  readonly clockIsWrong: boolean;
  /** Seconds since the epoch. */
  readonly nowS: number;
}

const OVER = { turn_udp: "UDP", turn_tcp: "TCP", turn_tls: "TLS" } as const;
const UNREACHABLE = /^(silent|closed|blocked|name)$/;
const LOST = /^(silent|blocked)$/;
/** Of coturn's `use-auth-secret`: the user name begins with it. */
const EXPIRY = /^(\d{9,11})(:|$)/;

const SECRET =
  "give VOXWIRE_TURN_SECRET and coturn's static-auth-secret the same value; a user name and" +
  " password of VOXWIRE_ICE_SERVERS must be those of the TURN server";
const EITHER_END =
  "open the server's UDP ports (its firewall, Docker), see VOXWIRE_ICE_ADDRESSES, or set up TURN;" +
  " or let UDP out of this network (a firewall, a VPN?)";
const EXPIRED = "mint fresh credentials: those of VOXWIRE_TURN_SECRET are, for each session";
const SPARE =
  "open that port, in a firewall of this network or at the server; the connection is up without" +
  " it";
const OF_CODE: { readonly [error: number]: string } = {
  403: "allow this client or the peer in the TURN server: denied-peer-ip, allowed-peer-ip",
  486: "the user has as many allocations as it may: raise coturn's user-quota, or end some",
  508: "the TURN server is full: raise coturn's total-quota, or its range of relay ports",
};

/** The checks `webrtc`, `stun`, `turn_udp`, `turn_tcp`, `turn_tls` and `udp`.
 *
 * @param known - What became of each URL; undefined = none was tried. */
export function conclude(
  known: readonly Asked[] | undefined,
  path: PathTried,
  around: Circumstances,
): readonly Check[] {
  const found = new Found(known ?? [], path, around);
  const kinds = Object.keys(OVER) as Relaying[];
  const turn = kinds.map((kind) => (known ? found.turn(kind) : skipped(kind, "not tried")));
  const stun = known ? found.stun() : skipped("stun", "not tried");
  return [found.webrtc(), stun, ...turn, found.udp()];
}

class Found {
  /** By a host that is down, an error code, or a URL. */
  readonly #blamed = new Map<string | number, CheckName>();
  readonly #udpWorks: boolean;
  readonly #udpFails: boolean;

  constructor(
    private readonly asked: readonly Asked[],
    private readonly path: PathTried,
    private readonly around: Circumstances,
  ) {
    const overUdp = asked.filter(({ kind }) => kind === "stun" || kind === "turn_udp");
    // an error of the server, or of its kernel, is a packet that came back
    this.#udpWorks =
      (path.state === "up" && !path.relayed) ||
      overUdp.some(({ trouble }) => /^(|refused|closed)$/.test(trouble));
    const tried = overUdp.length > 0 || (path.state === "failed" && path.network === true);
    const down = path.state !== "up" && asked.some(({ host }) => this.#isDown(host));
    this.#udpFails = tried && !this.#udpWorks && !down;
  }

  /** Whether both sides have it. */
  webrtc(): Check {
    const { state, detail = "", network } = this.path;
    if (state === "absent") return skipped("webrtc", detail);
    if (state === "failed" && !network) {
      const advice = "see the server's log; until then the audio goes over the WebSocket";
      return failed("webrtc", detail, advice, "unsupported");
    }
    return fine("webrtc", "this machine and the server have it");
  }

  /** What TURN over one protocol came to. */
  turn(kind: Relaying): Check {
    const mine = this.asked.filter((one) => one.kind === kind);
    if (mine.length === 0) return skipped(kind, `the server names no TURN over ${OVER[kind]}`);
    const bad = mine.find(({ trouble }) => trouble);
    if (bad) return this.#blame(kind, bad, { someWork: mine.some(({ trouble }) => !trouble) });
    return fine(kind, mine.map(({ url, told }) => `${url} relays at ${told}`).join("; "));
  }

  #blame(kind: Relaying, bad: Asked, { someWork }: { someWork: boolean }): Check {
    const down = this.#isDown(bad.host);
    if (kind === "turn_udp" && LOST.test(bad.trouble) && this.#udpFails) {
      return needing(kind, "udp");
    }
    const lateS = this.#lateS(bad);
    let cause: string | number = "";
    if (bad.trouble === "refused") cause = bad.error;
    else if (down && UNREACHABLE.test(bad.trouble)) cause = bad.host;
    let [detail, advice] = turnWords(bad, lateS, down);
    if (lateS > 0 && this.around.clockIsWrong) {
      advice = "set the clock that is wrong: the user name of TURN goes by it";
    }
    const isSpare = !someWork && this.#isSpare(bad);
    if (isSpare) advice = SPARE;
    if (someWork || isSpare) return warning(kind, detail, advice, "turn_failed");
    const blamed = this.#blamed.get(cause);
    if (blamed) return needing(kind, blamed);
    this.#blamed.set(cause || bad.url, kind);
    return failed(kind, detail, advice, "turn_failed");
  }

  /** What is up does without it, and a firewall may be the reason as well as the server. */
  #isSpare(bad: Asked): boolean {
    const others = this.asked.filter(
      (one) => one.host === bad.host && one.kind !== "stun" && one !== bad,
    );
    if (others.some(({ trouble }) => !trouble)) {
      return this.path.state !== "failed" && /^(silent|blocked|closed)$/.test(bad.trouble);
    }
    return others.length === 0 && this.path.state === "up" && LOST.test(bad.trouble);
  }

  /** Nothing of a TURN server can be reached, and it is not for want of UDP. */
  #isDown(host: string): boolean {
    const mine = this.asked.filter((one) => one.host === host && one.kind !== "stun");
    return (
      mine.every(({ trouble }) => UNREACHABLE.test(trouble)) &&
      mine.some(({ kind, trouble }) => this.#udpWorks || kind !== "turn_udp" || trouble === "name")
    );
  }

  #lateS({ error, username }: Asked): number {
    const expiry = error === 401 || error === 441 ? EXPIRY.exec(username) : null;
    return expiry ? Math.max(0, this.around.nowS - Number(expiry[1])) : 0;
  }

  /** What STUN came to; to be asked behind TURN. */
  stun(): Check {
    const mine = this.asked.filter(({ kind }) => kind === "stun");
    if (mine.length === 0) return skipped("stun", "the server names no STUN");
    const good = mine.filter(({ trouble }) => !trouble);
    const bad = mine.find(({ trouble }) => trouble);
    if (!bad) {
      const seen = good.map(({ url, told }) => `${url} sees this machine at ${told}`);
      return fine("stun", seen.join("; "));
    }
    const isLost = LOST.test(bad.trouble);
    if (isLost && this.#udpFails) return needing("stun", "udp");
    const blamed = this.#blamed.get(bad.host);
    if (blamed) return needing("stun", blamed);
    const detail = `${bad.url}: ${bad.told}`;
    const isSpare = good.length === 0 && this.path.state === "up" && isLost;
    const advice = isSpare
      ? SPARE
      : "start it, open its port, or take it out of VOXWIRE_ICE_SERVERS";
    const how = good.length > 0 || isSpare ? warning : failed;
    return how("stun", detail, advice, "unreachable");
  }

  /** Whether packets come and go; to be asked behind TURN. */
  udp(): Check {
    const { state, detail, network, relayed, tookMs = 0 } = this.path;
    if (this.#udpFails) return this.#noUdp();
    if (state === "up" && this.#udpWorks) {
      const how = relayed ? "through TURN" : "without TURN";
      return { ...fine("udp", `WebRTC came up ${how}`), durationMs: tookMs };
    }
    if (state === "up") {
      return skipped("udp", "nothing here asks for it: the audio goes through TURN over TCP");
    }
    if (this.#udpWorks && !network) return fine("udp", "a STUN or TURN server answers over it");
    const [blamed] = this.#blamed.values();
    if (blamed) return needing("udp", blamed);
    if (!network) return skipped("udp", `nothing here asks for it: ${detail || "no WebRTC"}`);
    const told = "UDP gets out of here, but no packet of the server comes back";
    const advice = "open the server's UDP ports in its firewall, or set up TURN";
    return failed("udp", told, advice, "ice_failed");
  }

  #noUdp(): Check {
    const tried = this.asked.flatMap(({ kind, url }) =>
      kind === "stun" || kind === "turn_udp" ? [url] : [],
    );
    if (tried.length === 0) {
      // nobody else was asked who would have answered
      const told = "no UDP packet of the server comes back, and nothing else here is asked by UDP";
      return failed("udp", told, EITHER_END, "ice_failed");
    }
    if (this.path.state !== "absent") tried.push("the server itself");
    const advice =
      "let UDP out of this network (a firewall, a VPN?); until then the audio goes over TCP," +
      " where a lost packet holds up those behind it";
    const told = `no UDP packet comes back; tried ${tried.join(", ")}`;
    return failed("udp", told, advice, "ice_failed");
  }
}

/** What is wrong with TURN, and what to do. */
function turnWords(bad: Asked, lateS: number, down: boolean): [string, string] {
  const { url, told, host, error, trouble } = bad;
  if (error === 401 || error === 441) {
    const said = `${url} refused the credentials (${told})`;
    if (lateS > 0) return [`${said}: they expired ${lateS.toFixed(0)} s ago`, EXPIRED];
    return [`${said}: the secret, or user name and password, are others there`, SECRET];
  }
  if (trouble === "refused") {
    const advice = OF_CODE[error] ?? "see the TURN server's log";
    return [`${url} refused an allocation (${told})`, advice];
  }
  if (trouble === "tls") {
    return [`${url}: ${told}`, "give the TURN server a certificate that is good here"];
  }
  if (trouble === "name") {
    return [`${url}: ${told}`, "correct VOXWIRE_TURN_URLS, or the name server"];
  }
  if (down) {
    const advice = "start the TURN server, or correct VOXWIRE_TURN_URLS";
    return [`${url} cannot be reached (${told}), nor ${host} otherwise`, advice];
  }
  const advice = "open that port of the TURN server, in its configuration and its firewall";
  return [`${url} cannot be reached (${told}), ${host} can otherwise`, advice];
}
