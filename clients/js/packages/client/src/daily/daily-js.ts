/** What is used of `@daily-co/daily-js`, so that its types are nobody's concern who has no rooms. */

export interface DailyParticipant {
  readonly session_id: string;
  readonly local: boolean;
}

export interface DailyEvent {
  readonly participant?: DailyParticipant | null;
  readonly track?: MediaStreamTrack;
  readonly errorMsg?: string;
}

export type DailyEventName =
  | ("joined-meeting" | "left-meeting" | "error" | "participant-joined" | "participant-left")
  | "track-started";

export interface DailyCall {
  on(name: DailyEventName, call: (event: DailyEvent) => void): unknown;
  join(options: { readonly url: string; readonly token: string }): Promise<unknown>;
  setInputDevicesAsync(devices: {
    readonly audioSource: MediaStreamTrack | false;
  }): Promise<unknown>;
  leave(): Promise<unknown>;
  destroy(): Promise<unknown>;
}

export interface DailyModule {
  createCallObject(options: {
    readonly audioSource: MediaStreamTrack | false;
    readonly videoSource: false;
    readonly subscribeToTracksAutomatically: boolean;
    /** A path that takes another one's place is there before that is gone. */
    readonly allowMultipleCallInstances: boolean;
    /** Without it, a page's policy has to allow `unsafe-eval`. */
    readonly dailyConfig: { readonly avoidEval: boolean };
  }): DailyCall;
}

export type LoadDaily = () => Promise<DailyModule>;
