/** Single things that `diagnose()` tries in a browser; nothing of them stays. */
import type { Asked, Kind, Trouble } from "../media/asked.js";
import type { PathOptions, Payload, TrialPath } from "../media/media.js";
import { deviceError, deviceFailure, mediaDevices } from "./device-errors.js";
import { Trial } from "./trial-path.js";

/** How long one server may take, milliseconds. */
const ASK_MS = 3000;
/** coturn counts an allocation for a second after it was given back. */
const RELEASE_MS = 1300;
/** Allocation Quota Reached (RFC 8656 §7.2). */
const QUOTA = 486;
/** No error of a server's: it was not reached (W3C webrtc-pc, `errorCode`). */
const UNREACHED = 701;
/** How long asking all of them may take, milliseconds: a check may take 5 s. */
const ALL_MS = 4500;
const MAX_URLS = 8;
const NONE = "no answer came";
const URL_FORM = /^(stun|turns?):(\[[0-9a-f:.]+\]|[^?:[\]]+)(:\d{1,5})?(\?transport=(udp|tcp))?$/i;

interface Target {
  readonly url: string;
  readonly kind: Kind;
  readonly host: string;
  readonly username: string;
  readonly server: RTCIceServer;
}

export async function microphone(): Promise<string> {
  const devices = mediaDevices("microphone");
  let stream: MediaStream;
  try {
    stream = await devices.getUserMedia({ audio: true });
  } catch (error) {
    throw deviceError("microphone", deviceFailure(error), error);
  }
  const [track] = stream.getAudioTracks();
  for (const one of stream.getTracks()) one.stop();
  return `${track?.label || "a microphone"} can be used`;
}

/** A path that is silent. */
export function path(options: PathOptions, send: (payload: Payload) => void): TrialPath {
  return new Trial(options, send);
}

/**
 * Asks every server, all at once. Where the quota of a user has room for a session and not for all
 * of these, those that were too much are asked again, one by one.
 * Takes 4.5 s at most, and tells what is known then.
 */
export async function ask(iceServers: readonly RTCIceServer[]): Promise<readonly Asked[]> {
  const untilMs = performance.now() + ALL_MS;
  const targets = iceServers.flatMap(targetsOf).slice(0, MAX_URLS);
  const found = await Promise.all(targets.map((target) => askOne(target)));
  const served = new Set(
    found.flatMap(({ kind, trouble, username }) => (kind !== "stun" && !trouble ? [username] : [])),
  );
  for (const [at, one] of found.entries()) {
    const target = targets[at];
    if (!target || one.error !== QUOTA || !served.has(one.username)) continue;
    if (untilMs - performance.now() <= RELEASE_MS) break;
    await new Promise((resolve) => setTimeout(resolve, RELEASE_MS));
    const again = await askOne(target, Math.min(ASK_MS, untilMs - performance.now()));
    if (again.trouble !== "silent") found[at] = again;
  }
  return found;
}

/** The URLs that can be asked; TURN over DTLS cannot. */
function targetsOf(server: RTCIceServer): readonly Target[] {
  return [server.urls].flat().flatMap((url) => {
    const [, scheme = "", host = "", , , transport] = URL_FORM.exec(url) ?? [];
    if (!host || (scheme === "turns" && transport === "udp")) return [];
    const over = scheme === "turns" ? "turn_tls" : transport === "tcp" ? "turn_tcp" : "turn_udp";
    const kind: Kind = scheme === "stun" ? "stun" : over;
    const username = server.username ?? "";
    return [{ url, kind, host, username, server: { ...server, urls: url } }];
  });
}

/** Whether one server gives a candidate: server-reflexive of STUN, relayed of TURN. */
async function askOne(
  { url, kind, host, username, server }: Target,
  limitMs = ASK_MS,
): Promise<Asked> {
  const isStun = kind === "stun";
  const iceTransportPolicy = isStun ? "all" : "relay";
  const connection = new RTCPeerConnection({ iceServers: [server], iceTransportPolicy });
  const wanted = isStun ? "srflx" : "relay";
  let timer: ReturnType<typeof setTimeout> | undefined;
  let trouble: Trouble = "silent";
  let told = `did not answer within ${limitMs / 1000} s`;
  let error = 0;
  let own = "";
  try {
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, limitMs);
      connection.onicecandidate = ({ candidate }) => {
        if (candidate?.type === "host" && candidate.protocol === "udp") own = "its own address";
        if (candidate?.type !== wanted) return;
        [trouble, told, error] = ["", `${candidate.address}:${candidate.port}`, 0];
        resolve();
      };
      connection.onicecandidateerror = (event) => {
        if (event.url && isStun !== event.url.startsWith("stun")) return;
        [trouble, told, error] = whatFailed(event, host);
      };
      connection.onicegatheringstatechange = () => {
        if (connection.iceGatheringState !== "complete") return;
        // an answer that names the address that the browser has is not told as a candidate, and a
        // server that is silent is waited for
        if (trouble === "silent") [trouble, told] = own && isStun ? ["", own] : ["silent", NONE];
        resolve();
      };
      connection.createDataChannel("check");
      connection.setLocalDescription().catch(() => resolve());
    });
  } finally {
    clearTimeout(timer);
    connection.onicecandidate = connection.onicecandidateerror = null;
    connection.onicegatheringstatechange = null;
    connection.close();
  }
  return { url, kind, host, trouble, told, error, username };
}

/** What a browser says of a server that gave no candidate: an error of the server's as it is, and
 * of others no more than a sentence. */
function whatFailed(
  { errorCode, errorText }: RTCPeerConnectionIceErrorEvent,
  host: string,
): [Trouble, string, number] {
  if (errorCode !== UNREACHED) {
    return ["refused", `${errorCode} ${errorText}`.replace(/\.?$/, "").trim(), errorCode];
  }
  if (/lookup/i.test(errorText)) return ["name", `the name ${host} was not found`, 0];
  if (/time/i.test(errorText)) return ["silent", errorText, 0];
  return ["closed", errorText || "it was not reached", 0];
}
