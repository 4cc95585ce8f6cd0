/** Single things that `diagnose()` tries in a browser; nothing of them stays. */
import { makeError } from "@voxwire/protocol";
import { deviceError, deviceFailure, mediaDevices } from "./device-errors.js";

/** How long candidates may take, milliseconds. */
const GATHER_MS = 4000;

/** Resolves with what was found, undefined where it does not apply; rejects with what is wrong. */
export async function check(
  what: "microphone" | "stun" | "turn",
  iceServers: readonly RTCIceServer[],
): Promise<string | undefined> {
  if (what === "microphone") return microphone();
  const prefix = what === "stun" ? /^stuns?:/ : /^turns?:/;
  const urls = iceServers.flatMap((server) =>
    [server.urls]
      .flat()
      .filter((url) => prefix.test(url))
      .map((url) => ({ ...server, urls: url })),
  );
  if (urls.length === 0 || !("RTCPeerConnection" in globalThis)) return undefined;
  const results = await Promise.all(urls.map((server) => gathered(what, server)));
  const failed = results.flatMap(({ url, error }) => (error ? [`${url}: ${error}`] : []));
  const found = results.flatMap(({ url, error }) => (error ? [] : [url]));
  if (found.length > 0) {
    return [`${found.join(", ")} answered`, ...failed.map((one) => `but ${one}`)].join("; ");
  }
  throw makeError(what === "turn" ? "turn_failed" : "ice_failed", failed.join("; "));
}

async function microphone(): Promise<string> {
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

/** Whether one server gives a candidate: server-reflexive of STUN, relayed of TURN. */
async function gathered(
  what: "stun" | "turn",
  server: RTCIceServer & { readonly urls: string },
): Promise<{ readonly url: string; readonly error?: string }> {
  const url = server.urls.replace(/\?.*$/, (query) => query.replace("?transport=", " over "));
  const iceTransportPolicy = what === "turn" ? "relay" : "all";
  const connection = new RTCPeerConnection({ iceServers: [server], iceTransportPolicy });
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    const wanted = what === "turn" ? "relay" : "srflx";
    const error = await new Promise<string | undefined>((resolve) => {
      let trouble = `no answer within ${GATHER_MS / 1000} s`;
      timer = setTimeout(() => resolve(trouble), GATHER_MS);
      connection.onicecandidate = ({ candidate }) => {
        if (candidate?.type === wanted) resolve(undefined);
      };
      connection.onicecandidateerror = ({ errorCode, errorText }) => {
        trouble = `error ${errorCode} ${errorText}`.trim();
      };
      connection.onicegatheringstatechange = () => {
        if (connection.iceGatheringState === "complete") resolve(trouble);
      };
      connection.createDataChannel("check");
      connection.setLocalDescription().catch(() => resolve("the browser refused to gather"));
    });
    return { url, ...(error ? { error } : {}) };
  } finally {
    clearTimeout(timer);
    connection.onicecandidate = connection.onicecandidateerror = null;
    connection.onicegatheringstatechange = null;
    connection.close();
  }
}
