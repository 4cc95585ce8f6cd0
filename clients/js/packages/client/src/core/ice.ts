import type { wire } from "@voxwire/protocol";
import type { PathOptions } from "../media/media.js";

/** Which STUN and TURN servers a session uses: the program's, else those that the server names. */
export class IceChoice {
  #learned: readonly RTCIceServer[] | undefined;

  constructor(
    private readonly own: readonly RTCIceServer[] | undefined,
    private readonly icePolicy: RTCIceTransportPolicy,
    private readonly loopback: boolean,
  ) {}

  /** True when a path needs what the server has not named yet. */
  get wanted(): boolean {
    return !(this.own ?? this.#learned) && (!this.loopback || this.icePolicy === "relay");
  }

  get options(): Omit<PathOptions, "pathId"> {
    return { iceServers: this.own ?? this.#learned ?? [], icePolicy: this.icePolicy };
  }

  learn(servers: readonly wire.IceServer[]): void {
    this.#learned = servers.map(({ urls, username, credential }) => ({
      urls: [...urls],
      ...(username ? { username, credential } : {}),
    }));
  }
}
