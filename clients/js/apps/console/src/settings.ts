import type { ClientOptions, TransportChoice } from "@voxwire/client";

/** What is chosen before a session begins. */
export interface Settings {
  readonly transport: TransportChoice;
  /** Kept in memory only. */
  readonly token: string;
  /** Name of the bot; "" = the only one. */
  readonly bot: string;
  /** False = the session begins with the microphone off. */
  readonly microphone: boolean;
}

/** What a part is given that shows the settings, or changes them. */
export interface SettingsProps {
  readonly settings: Settings;
  readonly onSettings: (settings: Settings, connect?: boolean) => void;
}

/** What the controls are given. */
export interface ControlsProps extends SettingsProps {
  /** The next session is another client's: with these settings. */
  readonly isStale: boolean;
}

export const TRANSPORTS: readonly { readonly value: TransportChoice; readonly name: string }[] = [
  { value: "auto", name: "Auto" },
  { value: "webrtc", name: "WebRTC" },
  { value: "websocket", name: "WebSocket" },
];

const KEY = "voxwire.transport";

/** Where the server is mounted: this page's folder. */
export const serverPath = (): string => new URL(".", location.href).pathname;

/** The settings of the last visit; `?transport=` and `?bot=` win. */
export function initialSettings(): Settings {
  const query = new URLSearchParams(location.search);
  const asked = query.get("transport") ?? stored(KEY);
  const transport = TRANSPORTS.find(({ value }) => value === asked)?.value ?? "auto";
  return { transport, token: "", bot: query.get("bot") ?? "", microphone: true };
}

/** Remembers what may be remembered. */
export function remember({ transport }: Settings): void {
  store(KEY, transport);
}

/** The client's options. */
export const optionsOf = ({ transport, token, bot, microphone }: Settings): ClientOptions => ({
  url: serverPath(),
  transport,
  bot,
  // Without a secure context there is neither a microphone nor an audio worklet: text alone.
  media: isSecureContext ? { microphone } : false,
  ...(token === "" ? {} : { token }),
});

/** A string of `localStorage`, where there is one. */
export function stored(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Writes to `localStorage`, where there is one; null removes. */
export function store(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // Storage is switched off: nothing is remembered.
  }
}

const EXAMPLES_KEY = "voxwire.examples";
const MAX_EXAMPLES = 6;

/** The phrases that the bot named at the last visit. */
export function remembered(): readonly string[] {
  try {
    const kept: unknown = JSON.parse(stored(EXAMPLES_KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((one) => typeof one === "string") : [];
  } catch {
    return [];
  }
}

/** Remembers the phrases that a bot names. */
export function rememberExamples(examples: readonly string[]): void {
  store(EXAMPLES_KEY, JSON.stringify(examples.slice(0, MAX_EXAMPLES)));
}
