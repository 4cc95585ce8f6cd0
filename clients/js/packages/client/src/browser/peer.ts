/** A peer connection with one audio track each way, for the WebRTC path. */
import { makeError, type VoxwireError, type wire } from "@voxwire/protocol";
import type { PathOptions } from "../media/media.js";

export interface PeerHandlers {
  candidate(candidate: RTCIceCandidate | undefined): void;
  stream(stream: MediaStream): void;
  connected(): void;
  failed(error: VoxwireError): void;
}

/** A browser that found nothing to try this long after it knew both sides has no way. */
const PAIRED_MS = 800;
/** A connection that its other side closed may be that of a session that ends: wait that long. */
const GRACE_MS = 1000;

export class Peer {
  readonly connection: RTCPeerConnection;
  readonly #transceiver: RTCRtpTransceiver;
  readonly #relayOnly: boolean;
  readonly #handlers: PeerHandlers;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pairing: ReturnType<typeof setTimeout> | undefined;
  #gatheredAll = false;
  #accepted = false;
  #candidates = 0;
  /** What a TURN server answered, when that was an error. */
  trouble: VoxwireError | undefined;

  constructor(options: PathOptions, handlers: PeerHandlers) {
    this.#handlers = handlers;
    this.#relayOnly = options.icePolicy === "relay";
    const connection = new RTCPeerConnection({
      iceServers: [...options.iceServers],
      iceTransportPolicy: options.icePolicy,
      bundlePolicy: "max-bundle",
    });
    this.connection = connection;
    this.#transceiver = connection.addTransceiver("audio", { direction: "sendrecv" });
    options.prepare?.(connection);
    connection.ontrack = (event) => handlers.stream(new MediaStream([event.track]));
    connection.onicecandidate = (event) => this.#gathered(event.candidate);
    connection.onicecandidateerror = (event) => this.#noteTrouble(event);
    connection.onconnectionstatechange = () => this.#look();
  }

  get receiver(): RTCRtpReceiver {
    return this.#transceiver.receiver;
  }

  /** Takes the servers that Welcome names, before the offer. */
  useServers(servers: readonly wire.IceServer[]): void {
    const iceServers = servers.map(({ urls, username, credential }) =>
      username ? { urls: [...urls], username, credential } : { urls: [...urls] },
    );
    this.connection.setConfiguration({ ...this.connection.getConfiguration(), iceServers });
  }

  /** The offer; nothing is gathered for it yet. */
  async offer(): Promise<string> {
    await this.connection.setLocalDescription();
    return this.connection.localDescription?.sdp ?? "";
  }

  async accept(sdp: string): Promise<void> {
    try {
      await this.connection.setRemoteDescription({ type: "answer", sdp });
    } catch (cause) {
      throw makeError("bad_sdp", "the answer cannot be used", { cause });
    }
    this.#accepted = true;
    this.#awaitPair();
  }

  /** Sends this track from now on, or nothing; needs no new offer. */
  async send(track: MediaStreamTrack | undefined): Promise<void> {
    if (this.connection.signalingState === "closed") return;
    await this.#transceiver.sender.replaceTrack(track ?? null);
  }

  close(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#pairing);
    const { connection } = this;
    connection.ontrack = connection.onicecandidate = null;
    connection.onicecandidateerror = connection.onconnectionstatechange = null;
    connection.close();
  }

  #gathered(candidate: RTCIceCandidate | null): void {
    if (candidate?.candidate) {
      this.#candidates += 1;
      this.#handlers.candidate(candidate);
      return;
    }
    if (candidate) return;
    this.#handlers.candidate(undefined);
    this.#gatheredAll = true;
    this.#awaitPair();
    if (this.#relayOnly && this.#candidates === 0) {
      const reason = "no path through TURN, and icePolicy 'relay' allows no other";
      this.#handlers.failed(this.trouble ?? makeError("turn_failed", reason));
    }
  }

  /**
   * The answer names every candidate of the server. Where both sides are known and ICE is still
   * "new", no candidate of one goes with any of the other, and none ever will.
   */
  #awaitPair(): void {
    const { connection } = this;
    if (!this.#gatheredAll || !this.#accepted || this.#relayOnly) return;
    clearTimeout(this.#pairing);
    this.#pairing = setTimeout(() => {
      if (connection.iceConnectionState !== "new") return;
      const reason = "this browser found no network path for WebRTC to try";
      this.#handlers.failed(this.trouble ?? makeError("ice_failed", reason, { retryable: true }));
    }, PAIRED_MS);
  }

  #noteTrouble(event: RTCPeerConnectionIceErrorEvent): void {
    if (!event.url?.startsWith("turn")) return;
    const why = event.errorText || `error ${event.errorCode}`;
    this.trouble = makeError("turn_failed", `TURN gave no relay: ${why}`);
  }

  #look(): void {
    const state = this.connection.connectionState;
    clearTimeout(this.#timer);
    if (state === "connected") this.#handlers.connected();
    if (state !== "failed" && state !== "closed") return;
    const reason = "no network path for WebRTC was found: try transport 'websocket'";
    const error = this.trouble ?? makeError("ice_failed", reason, { retryable: true });
    this.#timer = setTimeout(() => this.#handlers.failed(error), state === "closed" ? GRACE_MS : 0);
  }
}
