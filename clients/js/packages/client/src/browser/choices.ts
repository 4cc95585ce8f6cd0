/** Remembers which devices were chosen, by id and, where ids change, by label. */
import type { DeviceInfo, DeviceKind } from "../api.js";

const KEY = "voxwire.devices";

type Chosen = { [K in DeviceKind]?: DeviceInfo };

function read(): Chosen {
  try {
    const text = globalThis.localStorage?.getItem(KEY);
    const value: unknown = text ? JSON.parse(text) : {};
    return typeof value === "object" && value !== null ? (value as Chosen) : {};
  } catch {
    return {}; // storage is switched off, or holds something else
  }
}

export class Choices {
  readonly #persistent: boolean;
  #chosen: Chosen;

  constructor(persistent: boolean) {
    this.#persistent = persistent;
    this.#chosen = persistent ? read() : {};
  }

  set(kind: DeviceKind, device: DeviceInfo): void {
    this.#chosen = { ...this.#chosen, [kind]: device };
    if (!this.#persistent) return;
    try {
      globalThis.localStorage?.setItem(KEY, JSON.stringify(this.#chosen));
    } catch {
      // full or switched off: it is forgotten with the page then
    }
  }

  /** The chosen device among those that there are; one with its label when its id is gone. */
  find(kind: DeviceKind, available: readonly DeviceInfo[]): DeviceInfo | undefined {
    const chosen = this.#chosen[kind];
    if (!chosen || typeof chosen.id !== "string") return undefined;
    return (
      available.find((device) => device.id === chosen.id) ??
      available.find((device) => device.label !== "" && device.label === chosen.label)
    );
  }

  /** The id to ask for, also before anything can be enumerated. */
  wish(kind: DeviceKind, available: readonly DeviceInfo[]): string | undefined {
    const id = this.find(kind, available)?.id ?? this.#chosen[kind]?.id;
    return typeof id === "string" ? id : undefined;
  }
}
