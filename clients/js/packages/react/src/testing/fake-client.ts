import type {
  Activity,
  AnyEvent,
  Client,
  ClientEventMap,
  ClientStatus,
  Conversation,
  DeviceKind,
  DeviceState,
  DevicesState,
  Diagnosis,
  EventType,
  Feature,
  FileAcceptance,
  Levels,
  Microphone,
  Quality,
  SendFileOptions,
  Tool,
} from "@voxwire/client";
import { Value } from "./value.js";

const NO_DEVICE: DeviceState = { state: "uninitialized", enabled: false, available: [] };
const NO_DEVICES: DevicesState = {
  microphone: { ...NO_DEVICE, wanted: true },
  camera: NO_DEVICE,
  speaker: NO_DEVICE,
  screen: NO_DEVICE,
};

/**
 * A client without a server and without sound: set its `Readable`s, `emit` events, look at
 * `calls`. For tests of components.
 */
export class FakeClient implements Client {
  readonly status = new Value<ClientStatus>({ status: "idle" });
  readonly activity = new Value<Activity>({
    bot: "idle",
    userSpeaking: false,
    userMuted: false,
  });
  readonly conversation = new Value<Conversation>({ turns: [], skipped: 0 });
  readonly quality = new Value<Quality | undefined>(undefined);
  readonly accepts = new Value<FileAcceptance | undefined>(undefined);
  readonly features = new Value<ReadonlySet<Feature>>(new Set());
  readonly devicesState = new Value<DevicesState>(NO_DEVICES);
  readonly devices = {
    get: () => this.devicesState.get(),
    subscribe: (listener: () => void) => this.devicesState.subscribe(listener),
    refresh: async () => this.devicesState.get(),
    select: async (kind: "microphone" | "speaker" | "camera", id: string) => {
      this.calls.push(["select", kind, id]);
      const { available } = this.devicesState.get()[kind];
      const selected = available.find((device) => device.id === id);
      if (selected) this.setDevice(kind, { selected });
    },
  };
  readonly microphone: Microphone = fakeMicrophone(this);
  /** What was asked of this client, in order: the method's name and its arguments. */
  readonly calls: (readonly [method: string, ...args: unknown[]])[] = [];
  readonly tools = new Map<string, Tool>();
  readonly output = undefined;
  readonly input = undefined;
  positionMs = 0;
  level: Levels = { microphone: 0, bot: 0 };
  readonly #listeners = new Map<string, Set<(event: never) => void>>();
  readonly #all = new Set<(event: AnyEvent) => void>();

  /** Changes a device: `setDevice("microphone", { state: "granted" })`. */
  setDevice(kind: DeviceKind, change: Partial<DeviceState>): void {
    const state = this.devicesState.get();
    this.devicesState.set({ ...state, [kind]: { ...state[kind], ...change } });
  }

  /** Raises an event. */
  emit<K extends EventType>(type: K, event: ClientEventMap[K]): void {
    for (const listener of [...(this.#listeners.get(type) ?? [])]) listener(event as never);
    for (const listener of [...this.#all]) listener({ type, event } as unknown as AnyEvent);
  }

  /** Sets the status and raises its event. */
  setStatus(status: ClientStatus): void {
    this.status.set(status);
    this.emit("status", status);
  }

  async connect(): Promise<void> {
    this.calls.push(["connect"]);
    this.setStatus({ status: "ready", sessionId: "fake.session", bot: "fake" });
    this.setDevice("microphone", { state: "granted", enabled: this.microphone.enabled });
  }

  async disconnect(reason?: string): Promise<void> {
    if (this.status.get().status === "idle" || this.status.get().status === "closed") return;
    this.calls.push(["disconnect", reason]);
    this.setDevice("microphone", { enabled: false });
    this.setStatus({ status: "closed", reason: "client" });
  }

  on<K extends EventType>(type: K, listener: (event: ClientEventMap[K]) => void): () => void {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  once<K extends EventType>(type: K): Promise<ClientEventMap[K]> {
    return new Promise((resolve) => {
      const off = this.on(type, (event) => {
        off();
        resolve(event);
      });
    });
  }

  async *events(options?: { signal?: AbortSignal }): AsyncIterable<AnyEvent> {
    const queue: AnyEvent[] = [];
    let wake = () => {};
    const take = (event: AnyEvent) => {
      queue.push(event);
      wake();
    };
    this.#all.add(take);
    options?.signal?.addEventListener("abort", () => wake());
    try {
      while (!options?.signal?.aborted) {
        const next = queue.shift();
        if (next) yield next;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      this.#all.delete(take);
    }
  }

  tap(): () => void {
    return () => {};
  }

  /** What `sendFile` does; set it to hold a file up, or to refuse it. */
  onSendFile: (name: string, options: SendFileOptions) => void | Promise<void> = () => {};

  async sendFile(
    name: string,
    type: string,
    data: Blob | ArrayBuffer | Uint8Array,
    options: SendFileOptions = {},
  ): Promise<void> {
    this.calls.push(["sendFile", name, type, data, options]);
    await this.onSendFile(name, options);
  }

  async sendText(text: string, ...rest: unknown[]): Promise<void> {
    this.calls.push(["sendText", text, ...rest]);
  }

  async interrupt(): Promise<void> {
    this.calls.push(["interrupt"]);
  }

  async userActivity(): Promise<void> {
    this.calls.push(["userActivity"]);
  }

  async call(): Promise<null> {
    return null;
  }

  handle(): () => void {
    return () => {};
  }

  async sendMessage(): Promise<void> {}

  async sendDtmf(): Promise<void> {}

  tool(tool: Tool): () => void {
    this.tools.set(tool.name, tool);
    return () => this.tools.delete(tool.name);
  }

  setVolume(volume: number): void {
    this.calls.push(["setVolume", volume]);
  }

  async resumeAudio(): Promise<void> {
    this.calls.push(["resumeAudio"]);
    this.emit("playbackBlocked", { blocked: false });
  }

  levels(): Levels {
    return this.level;
  }

  readonly simulate = {
    dropControl: () => {},
    dropMedia: () => {},
    freeze: () => () => {},
    slow: () => {},
  };

  /** What `diagnose` finds. */
  diagnosis: Diagnosis = { ok: true, checks: [] };

  async diagnose(): Promise<Diagnosis> {
    return this.diagnosis;
  }

  report(): null {
    return null;
  }

  /** Number of handlers and listeners that are left, for tests against leaks. */
  get listenerCount(): number {
    const handlers = [...this.#listeners.values()].reduce((sum, set) => sum + set.size, 0);
    const { status, activity, conversation, quality, accepts, features, devicesState } = this;
    const stores = [status, activity, conversation, quality, accepts, features, devicesState];
    return handlers + this.#all.size + stores.reduce((sum, store) => sum + store.size, 0);
  }
}

function fakeMicrophone(client: FakeClient): Microphone {
  const setEnabled = async (wanted: boolean) => {
    const enabled = wanted && client.status.get().status === "ready";
    client.setDevice("microphone", { wanted, enabled });
  };
  return {
    get enabled() {
      return client.devicesState.get().microphone.wanted === true;
    },
    setEnabled,
    hold: () => {
      void setEnabled(true);
      return () => void setEnabled(false);
    },
  };
}
