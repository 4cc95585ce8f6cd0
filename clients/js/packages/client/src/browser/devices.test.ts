/** Devices without a browser: what is granted, refused, remembered, plugged in and pulled out. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeDevices } from "../../test/fake-devices.js";
import { DeviceStore } from "./device-store.js";
import { BrowserMicrophone } from "./microphone.js";
import { VideoSources } from "./video.js";

let devices: FakeDevices;
let stored: Map<string, string>;

beforeEach(() => {
  devices = new FakeDevices();
  stored = new Map();
  vi.stubGlobal("navigator", { mediaDevices: devices });
  vi.stubGlobal("isSecureContext", true);
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => void stored.set(key, value),
  });
});

afterEach(() => {
  vi.unstubAllGlobals();
});

const make = (options = {}) => {
  const store = new DeviceStore(true);
  return { store, microphone: new BrowserMicrophone(options, store) };
};

describe("the microphone", () => {
  it("captures while it is on and a session is up, and never else", async () => {
    const { store, microphone } = make();
    expect([microphone.enabled, devices.asked.length]).toEqual([true, 0]);
    await microphone.open();
    expect([devices.live, store.get().microphone.state]).toEqual([1, "granted"]);
    await microphone.setEnabled(false);
    expect([devices.live, store.get().microphone.enabled]).toEqual([0, false]);
    await microphone.setEnabled(true);
    expect(devices.live).toBe(1);
    microphone.close();
    expect([devices.live, microphone.enabled]).toEqual([0, true]);
  });

  it("asks for nothing when a session starts with it off; push-to-talk opens it", async () => {
    const { microphone } = make({ microphone: false });
    await microphone.open();
    expect(devices.asked).toEqual([]);
    const first = microphone.hold();
    const second = microphone.hold();
    await vi.waitFor(() => expect(devices.live).toBe(1));
    first();
    first();
    microphone.close();
    await microphone.open();
    expect(devices.live).toBe(1); // the second still holds it
    second();
    await vi.waitFor(() => expect(devices.live).toBe(0));
  });

  it("captures nothing when the user answers after the session's end", async () => {
    const { microphone } = make();
    let answer = () => {};
    const { getUserMedia } = devices;
    devices.getUserMedia = async (constraints) => {
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      return getUserMedia.call(devices, constraints);
    };
    const opening = microphone.open();
    await new Promise((resolve) => setTimeout(resolve, 1));
    microphone.close();
    answer();
    await opening;
    expect([devices.tracks.length, devices.live, microphone.track]).toEqual([1, 0, undefined]);
  });

  it("does what was wanted last, whatever overlaps", async () => {
    const { microphone } = make();
    await microphone.open();
    await Promise.all([false, true, false, true, false].map((on) => microphone.setEnabled(on)));
    expect(devices.live).toBe(0);
    await Promise.all([true, false, true].map((on) => microphone.setEnabled(on)));
    expect(devices.live).toBe(1);
  });

  it.each([
    ["NotAllowedError", "denied", "permission_denied"],
    ["NotFoundError", "missing", "device"],
    ["NotReadableError", "busy", "device"],
    ["TypeError", "other", "device"],
  ])("that fails with %s is %s", async (name, reason, code) => {
    devices.refusal = name;
    const { store, microphone } = make();
    await expect(microphone.open()).rejects.toMatchObject({ name: "MediaError", code });
    expect(store.get().microphone).toMatchObject({ state: "error", reason, enabled: false });
    devices.refusal = undefined;
    await microphone.setEnabled(true);
    expect(store.get().microphone.reason).toBeUndefined();
    expect(store.get().microphone.state).toBe("granted");
  });

  it("names an insecure origin as the reason", async () => {
    vi.stubGlobal("navigator", {});
    vi.stubGlobal("isSecureContext", false);
    const { store, microphone } = make();
    await expect(microphone.open()).rejects.toThrow(/insecure_origin/);
    expect(store.get().microphone.reason).toBe("insecure_origin");
  });

  it("goes over to another one when it is pulled out", async () => {
    const { store, microphone } = make();
    const used: (string | undefined)[] = [];
    microphone.onTrack = (track) => used.push(track?.label);
    await microphone.open();
    devices.infos = devices.infos.slice(1);
    devices.tracks[0]?.stop();
    devices.tracks[0]?.onended?.();
    expect(store.get().microphone.reason).toBe("lost");
    await vi.waitFor(() => expect(store.get().microphone.state).toBe("granted"));
    expect(used).toEqual(["Desk", undefined, "Headset"]);
  });
});

describe("choices", () => {
  it("are used at once, and remembered, by label where ids change", async () => {
    const first = make();
    await first.microphone.open();
    await first.store.select("microphone", "b");
    expect(first.store.get().microphone.selected).toEqual({ id: "b", label: "Headset" });
    expect([devices.live, devices.tracks.at(-1)?.label]).toEqual([1, "Headset"]);
    devices.infos = devices.infos.map((info) => ({ ...info, deviceId: `${info.deviceId}2` }));
    const next = make();
    await next.store.refresh();
    await next.microphone.open();
    expect(devices.tracks.at(-1)?.deviceId).toBe("b2");
  });

  it("that cannot be had leave what is in use", async () => {
    const { store, microphone } = make();
    await microphone.open();
    await expect(store.select("microphone", "gone")).rejects.toThrow(/missing/);
    devices.refusal = "NotReadableError";
    await expect(store.select("microphone", "b")).rejects.toThrow(/busy/);
    expect([devices.live, store.get().microphone.selected?.label]).toEqual([1, "Desk"]);
  });

  it("survive storage that is broken or switched off", async () => {
    stored.set("voxwire.devices", "[1");
    await make().microphone.open();
    vi.stubGlobal("localStorage", undefined);
    await make().microphone.open();
    expect(devices.live).toBe(2);
  });
});

describe("the list", () => {
  it("follows devices that come and go while somebody looks", async () => {
    const { store } = make();
    const seen = vi.fn();
    const end = store.subscribe(seen);
    await store.refresh();
    expect(store.get().microphone.available.map(({ id }) => id)).toEqual(["a", "b"]);
    const before = store.get();
    await store.refresh();
    expect(store.get()).toBe(before); // no news, no new snapshot
    devices.infos = [...devices.infos, { kind: "audioinput", deviceId: "c", label: "USB" }];
    devices.dispatchEvent(new Event("devicechange"));
    await vi.waitFor(() => expect(store.get().microphone.available).toHaveLength(3));
    const calls = seen.mock.calls.length;
    end();
    devices.infos = [];
    devices.dispatchEvent(new Event("devicechange"));
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(seen.mock.calls.length).toBe(calls);
  });
});

it("offers speakers only where a page can choose one", async () => {
  const { store } = make();
  vi.stubGlobal("AudioContext", class {});
  await store.refresh();
  expect(store.get().speaker.available).toEqual([]);
  vi.stubGlobal(
    "AudioContext",
    class {
      async setSinkId() {}
    },
  );
  await store.refresh();
  expect(store.get().speaker.available).toEqual([{ id: "s", label: "Speakers" }]);
});

it("opens the chosen camera, and another one when that is gone", async () => {
  const { store } = make();
  const cameras = ["v", "w"].map(
    (id) => ({ kind: "videoinput", deviceId: id, label: id }) as const,
  );
  devices.infos = [...cameras];
  await store.select("camera", "w");
  const video = new VideoSources(store);
  expect((await video.acquire("camera")).label).toBe("w");
  video.close();
  devices.infos = cameras.slice(0, 1);
  expect((await video.acquire("camera")).label).toBe("v");
  video.close();
});

it("gives camera tracks, and says when there is none", async () => {
  const { store } = make();
  const video = new VideoSources(store);
  await expect(video.acquire("camera")).rejects.toThrow(/missing/);
  devices.infos = [...devices.infos, { kind: "videoinput", deviceId: "v", label: "Camera" }];
  const track = await video.acquire("camera");
  expect(video.track("camera")).toBe(track);
  expect(store.get().camera).toMatchObject({ state: "granted", selected: { label: "Camera" } });
  video.close();
  expect([devices.live, store.get().camera.enabled]).toEqual([0, false]);
});
