/** Media of a client without microphone and speaker: the bot is heard by nobody. */
import { fromEnvelope, wire } from "@voxwire/protocol";
import type { DeviceState, Devices, DevicesState, Microphone } from "../api.js";
import type { Media, MediaHost, MediaPath, Payload } from "./media.js";

const NONE: DeviceState = { state: "uninitialized", enabled: false, available: [] };
const NO_DEVICES: DevicesState = { microphone: NONE, camera: NONE, speaker: NONE, screen: NONE };

export const noDevices: Devices = {
  get: () => NO_DEVICES,
  subscribe: () => () => {},
  refresh: async () => NO_DEVICES,
  select: async () => {},
};

export const noMicrophone: Microphone = {
  enabled: false,
  setEnabled: async () => {},
  hold: () => () => {},
};

export function silentMedia(): Media {
  let host: MediaHost | undefined;
  return {
    carriers: ["websocket"],
    devices: noDevices,
    microphone: noMicrophone,
    output: undefined,
    input: undefined,
    positionMs: 0,
    async start(given) {
      host = given;
    },
    path: (_carrier, { pathId }) => silentPath(pathId),
    use() {},
    receive(payload) {
      if (payload.case !== "stateChanged") return;
      const happened = fromEnvelope(wire.envelope(payload));
      if (happened?.type === "stateChanged") host?.emit("stateChanged", happened.event);
    },
    reset() {},
    levels: () => ({ microphone: 0, bot: 0 }),
    quality: async () => ({
      transport: "websocket",
      grade: "good",
      rttMs: undefined,
      jitterMs: undefined,
      loss: undefined,
      bufferedMs: 0,
      concealedMs: 0,
    }),
    setVolume() {},
    resumeAudio: async () => {},
    onPlaybackBlocked: undefined,
    async stop() {
      host = undefined;
    },
  };
}

function silentPath(pathId: number): MediaPath {
  let settle: (() => void) | undefined;
  const format = { codec: wire.Codec.PCM_S16LE, sampleRate: 16_000, numChannels: 1, blockMs: 20 };
  return {
    carrier: "websocket",
    pathId,
    trouble: undefined,
    ready: new Promise((resolve) => {
      settle = resolve;
    }),
    lost: new Promise(() => {}),
    offer: async () =>
      wire.create(wire.PathOpenSchema, {
        pathId,
        carrier: wire.Carrier.WEBSOCKET,
        capture: format,
        playout: { ...format, sampleRate: 24_000 },
      }),
    receive(payload: Payload) {
      if (payload.case === "pathReady") settle?.();
    },
    doubt() {},
    drop() {},
    close() {},
  };
}
