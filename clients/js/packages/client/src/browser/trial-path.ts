/** A WebRTC path of a diagnosis: it sends silence and plays nothing. */
import * as wire from "@voxwire/protocol/wire";
import type { PathOptions, Payload, TrialLook, TrialPath } from "../media/media.js";
import { readStats } from "../media/quality.js";
import { Readiness } from "../media/readiness.js";
import { audioFormat, CAPTURE_RATE, PLAYOUT_RATE } from "./path.js";
import { Peer } from "./peer.js";

type Entry = Readonly<Record<string, unknown>>;

export class Trial implements TrialPath {
  readonly #readiness = new Readiness();
  readonly #peer: Peer;
  #early: Payload[] | undefined = [];
  #context: AudioContext | undefined;
  #connected = false;
  #serverReady = false;

  constructor(
    private readonly options: PathOptions,
    private readonly send: (payload: Payload) => void,
  ) {
    this.#peer = new Peer(options, {
      candidate: (candidate) => this.#candidate(candidate),
      stream: () => {},
      connected: () => {
        this.#connected = true;
        this.#settle();
      },
      failed: (error) => this.#readiness.fail(error),
    });
  }

  get ready(): Promise<void> {
    return this.#readiness.ready;
  }

  get trouble() {
    return this.#peer.trouble;
  }

  async offer(): Promise<wire.PathOpen> {
    // a track that is silent has packets sent, whose loss the server reports
    this.#context = new AudioContext();
    const silence = new ConstantSourceNode(this.#context, { offset: 0 });
    const destination = this.#context.createMediaStreamDestination();
    silence.connect(destination);
    silence.start();
    await this.#peer.send(destination.stream.getAudioTracks()[0]);
    const sdpOffer = await this.#peer.offer();
    setTimeout(() => this.#sendEarly(), 0);
    return wire.create(wire.PathOpenSchema, {
      pathId: this.options.pathId,
      carrier: wire.Carrier.WEBRTC,
      capture: audioFormat(wire.Codec.OPUS, CAPTURE_RATE),
      playout: audioFormat(wire.Codec.OPUS, PLAYOUT_RATE),
      sdpOffer,
    });
  }

  receive(payload: Payload): void {
    if (payload.case === "pathAnswer") {
      this.#peer.accept(payload.value.sdpAnswer).catch((error) => this.#readiness.fail(error));
    } else if (payload.case === "pathReady") {
      this.#serverReady = true;
      this.#settle();
    } else if (payload.case === "pathClose") {
      this.#readiness.refuse(payload.value);
    }
  }

  async look(): Promise<TrialLook> {
    const entries: Entry[] = [];
    (await this.#peer.connection.getStats()).forEach((entry: Entry) => {
      entries.push(entry);
    });
    const stats = readStats(entries);
    const remote = entries.find(({ type }) => type === "remote-inbound-rtp");
    return {
      relayed: isRelayed(this.#peer.receiver, entries),
      rttMs: stats?.rttMs,
      jitterMs: stats?.jitterMs,
      received: stats?.packetsReceived ?? 0,
      lost: stats?.packetsLost ?? 0,
      lostUp: typeof remote?.fractionLost === "number" ? remote.fractionLost : undefined,
    };
  }

  close(): void {
    this.#peer.close();
    this.#context?.close().catch(() => {});
  }

  #settle(): void {
    if (this.#connected && this.#serverReady) this.#readiness.set();
  }

  #candidate(found: RTCIceCandidate | undefined): void {
    const value = wire.create(wire.IceCandidateSchema, {
      pathId: this.options.pathId,
      candidate: found?.candidate ?? "",
      sdpMid: found?.sdpMid ?? "0",
    });
    const payload = { case: "iceCandidate", value } as const;
    if (this.#early) this.#early.push(payload);
    else this.send(payload);
  }

  /** Candidates follow the offer that they belong to. */
  #sendEarly(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const payload of early) this.send(payload);
  }
}

/** Whether the path goes through TURN, at this end. Statistics come late on a busy machine: the
 * transport knows at once, where a browser lets it be asked. */
function isRelayed(receiver: RTCRtpReceiver, entries: readonly Entry[]): boolean {
  const { iceTransport } = receiver.transport ?? {};
  const chosen = iceTransport?.getSelectedCandidatePair?.()?.local?.type;
  if (chosen) return chosen === "relay";
  const byId = new Map(entries.map((entry) => [entry.id, entry]));
  const pairs = entries.filter(
    ({ type, state }) => type === "candidate-pair" && state === "succeeded",
  );
  const ends = pairs.map(({ localCandidateId }) => byId.get(localCandidateId)?.candidateType);
  return ends.length > 0 && ends.every((kind) => kind === "relay");
}
