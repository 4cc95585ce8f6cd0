/** Props that a program looks up may be undefined (exactOptionalPropertyTypes); the client's
 * `types.test.ts` compiles this. */
import type {
  BotAudioProps,
  CanvasOptions,
  CaptionsProps,
  DeviceSelectProps,
  MicToggleProps,
  VisualizerProps,
  VoxwireProviderProps,
} from "@voxwire/react";

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_: Equal<A, B>): void {}

type Optional<T> = { [K in keyof T]-?: object extends Pick<T, K> ? K : never }[keyof T];
type Refused<T> = {
  [K in Optional<T>]: { [P in K]: undefined } extends Pick<T, K> ? never : K;
}[Optional<T>];
same<Refused<BotAudioProps>, never>(true);
same<Refused<CanvasOptions>, never>(true);
same<Refused<CaptionsProps>, never>(true);
same<Refused<DeviceSelectProps>, never>(true);
same<Refused<MicToggleProps>, never>(true);
same<Refused<VisualizerProps>, never>(true);
same<Refused<Extract<VoxwireProviderProps, { client: unknown }>>, never>(true);
same<Refused<Extract<VoxwireProviderProps, { options: unknown }>>, never>(true);
