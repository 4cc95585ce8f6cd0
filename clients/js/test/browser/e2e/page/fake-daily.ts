/** A stub of daily-js: its room is a WebRTC connection with the server (tests/support/rtc_room.py). */
import type {
  DailyCall,
  DailyEvent,
  DailyEventName,
  DailyModule,
} from "../../../../packages/client/src/daily/daily-js.js";

const BOT = { session_id: "bot", local: false };

class Call implements DailyCall {
  readonly #connection = new RTCPeerConnection();
  readonly #sender: RTCRtpSender;
  readonly #handlers = new Map<DailyEventName, ((event: DailyEvent) => void)[]>();

  constructor(source: MediaStreamTrack | false) {
    this.#sender = this.#connection.addTransceiver("audio", { direction: "sendrecv" }).sender;
    void this.setInputDevicesAsync({ audioSource: source });
    this.#connection.ontrack = ({ track }) => {
      this.#tell("participant-joined", { participant: BOT });
      this.#tell("track-started", { participant: BOT, track });
    };
    this.#connection.onconnectionstatechange = () => {
      const { connectionState } = this.#connection;
      if (connectionState === "failed") this.#tell("left-meeting", {});
    };
  }

  on(name: DailyEventName, call: (event: DailyEvent) => void): void {
    this.#handlers.set(name, [...(this.#handlers.get(name) ?? []), call]);
  }

  async join({ url, token }: { url: string; token: string }): Promise<void> {
    const connection = this.#connection;
    await connection.setLocalDescription(await connection.createOffer());
    await new Promise<void>((resolve) => {
      const look = () => connection.iceGatheringState === "complete" && resolve();
      connection.onicegatheringstatechange = look;
      look();
    });
    const answer = await fetch(`/page-room/${url.split("/").at(-1)}`, {
      method: "POST",
      body: JSON.stringify({ token, sdp: connection.localDescription?.sdp }),
    });
    if (!answer.ok) throw new Error(`the room answers ${answer.status}`);
    await connection.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    await new Promise<void>((resolve) => {
      const look = () => connection.connectionState === "connected" && resolve();
      connection.addEventListener("connectionstatechange", look);
      look();
    });
  }

  async setInputDevicesAsync({ audioSource }: { audioSource: MediaStreamTrack | false }) {
    await this.#sender.replaceTrack(audioSource || null);
  }

  async leave(): Promise<void> {
    this.#connection.close();
  }

  async destroy(): Promise<void> {}

  #tell(name: DailyEventName, event: DailyEvent): void {
    for (const call of this.#handlers.get(name) ?? []) call(event);
  }
}

export const fakeDaily = async (): Promise<DailyModule> => ({
  createCallObject: ({ audioSource }) => new Call(audioSource),
});
