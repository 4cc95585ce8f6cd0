/** Which microphone is opened, and what is wrong with the one that is in use. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeDevices, type FakeTrack } from "../../test/fake-devices.js";
import type { MediaOptions } from "../api.js";
import { DeviceStore } from "./device-store.js";
import { BrowserMicrophone } from "./microphone.js";
import { ZeroWatch } from "./zero-watch.js";

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
  vi.useRealTimers();
});

function make(options: MediaOptions = {}) {
  const store = new DeviceStore(true);
  const microphone = new BrowserMicrophone(options, store);
  const state = () => store.get().microphone;
  const used = () => (microphone.track as unknown as FakeTrack | undefined)?.label;
  return { store, microphone, state, used };
}
const plug = (...ids: string[]) => {
  devices.infos = ids.map((id) => ({ kind: "audioinput", deviceId: id, label: `Mic ${id}` }));
  devices.dispatchEvent(new Event("devicechange"));
};

it("says what is wanted before there is a session, and every time that changes", async () => {
  const { store, microphone, state } = make();
  const told: (boolean | undefined)[] = [];
  const end = store.subscribe(() => told.push(state().wanted));
  expect([state().wanted, state().enabled]).toEqual([true, false]);
  await microphone.setEnabled(false);
  const release = microphone.hold();
  release();
  end();
  expect(told).toEqual([false, true, false]);
});

describe("the chosen microphone is the one that is opened", () => {
  it("when it was chosen before the session, or while muted", async () => {
    const { store, microphone, used } = make();
    await store.select("microphone", "b");
    await microphone.open();
    expect(used()).toBe("Headset");
    await microphone.setEnabled(false);
    await store.select("microphone", "a");
    await microphone.setEnabled(true);
    expect(used()).toBe("Desk");
  });

  it("when it is remembered of another visit, and has another id now", async () => {
    await make().store.select("microphone", "b");
    devices.infos = devices.infos.map((info) => ({ ...info, deviceId: `${info.deviceId}2` }));
    const next = make();
    await next.microphone.open(); // nothing was enumerated yet
    await vi.waitFor(() => expect(next.used()).toBe("Headset"));
    expect([devices.live, next.state().trouble]).toEqual([1, undefined]);
  });

  it("else another one, which is told, until it is back", async () => {
    await make().store.select("microphone", "b");
    const { microphone, state, used, store } = make();
    const end = store.watch();
    plug("a");
    await microphone.open();
    await vi.waitFor(() => expect(state().trouble).toBe("fallback"));
    expect(used()).toBe("Mic a");
    plug("a", "b");
    await vi.waitFor(() => expect(used()).toBe("Mic b"));
    await vi.waitFor(() => expect(state().trouble).toBeUndefined());
    expect(devices.live).toBe(1);
    end();
  });
});

it("follows the system's default, unless one was chosen", async () => {
  const { microphone, used, store, state } = make();
  const end = store.watch();
  plug("a", "b");
  await microphone.open();
  await vi.waitFor(() => expect(state().available).toHaveLength(2));
  plug("b", "a");
  await vi.waitFor(() => expect(used()).toBe("Mic b"));
  await store.select("microphone", "a");
  plug("c", "b", "a");
  await vi.waitFor(() => expect(state().available).toHaveLength(3));
  expect([used(), devices.live]).toEqual(["Mic a", 1]);
  end();
});

it("tells that the system keeps it silent, and that it does not any more", async () => {
  const { microphone, state } = make();
  await microphone.open();
  const [track] = devices.tracks;
  if (!track) throw new Error("no track");
  track.muted = true;
  track.onmute?.();
  expect(state()).toMatchObject({ trouble: "muted", enabled: true });
  track.muted = false;
  track.onunmute?.();
  expect(state().trouble).toBeUndefined();
});

it("tells that it gives nothing but zeros; a track that ends takes the trouble with it", async () => {
  const { microphone, state } = make();
  await microphone.open();
  microphone.dead(true);
  expect(state().trouble).toBe("silent");
  await microphone.setEnabled(false);
  expect(state().trouble).toBeUndefined();
});

it("zeros count from the first look on; a page that plays nothing does not count", () => {
  vi.useFakeTimers();
  const told: boolean[] = [];
  let level: number | undefined = 0;
  const watch = new ZeroWatch(
    () => level,
    (dead) => told.push(dead),
  );
  watch.start();
  vi.advanceTimersByTime(4500);
  level = undefined;
  vi.advanceTimersByTime(60_000);
  expect(told).toEqual([]);
  level = 0;
  vi.advanceTimersByTime(500);
  expect(told).toEqual([true]);
  level = 1e-5; // any room is louder than nothing
  vi.advanceTimersByTime(500);
  expect(told).toEqual([true, false]);
  level = 0; // noise suppression in a quiet moment
  vi.advanceTimersByTime(29_500);
  expect(told).toEqual([true, false]);
  vi.advanceTimersByTime(500);
  expect(told).toEqual([true, false, true]);
  watch.stop();
  expect(vi.getTimerCount()).toBe(0);
});

it("kept while muted, the track waits disabled and is used again; a hang-up ends it", async () => {
  const { microphone, state, store } = make({ keepMicrophoneOnMute: true });
  const tracks: unknown[] = [];
  microphone.onTrack = (track) => tracks.push(track);
  await microphone.open();
  const [track] = devices.tracks;
  await microphone.setEnabled(false);
  expect([devices.live, track?.enabled, state().enabled]).toEqual([1, false, false]);
  await microphone.setEnabled(true);
  expect([devices.asked.length, track?.enabled, state().enabled]).toEqual([1, true, true]);
  expect(tracks).toEqual([track, undefined, track]);
  await microphone.setEnabled(false);
  await store.select("microphone", "b"); // another one: the kept one is of no use
  expect(devices.live).toBe(0);
  await microphone.setEnabled(true);
  await microphone.setEnabled(false);
  microphone.close();
  expect(devices.live).toBe(0);
});

it("a page that may not ask names its policy as the cause", async () => {
  devices.refusal = "NotAllowedError";
  vi.stubGlobal("document", { featurePolicy: { allowsFeature: () => false } });
  const { microphone, state } = make();
  const failure = await microphone.open().catch((error: unknown) => error);
  expect(failure).toMatchObject({ name: "MediaError", code: "permission_denied" });
  expect(String(failure)).toMatch(/Permissions-Policy header \(policy\)/);
  expect(state().reason).toBe("policy");
  vi.stubGlobal("parent", {});
  const framed = await microphone.setEnabled(true).catch((error: unknown) => error);
  expect(String(framed)).toMatch(/Permissions-Policy.*frame.*allow="microphone"/);
  vi.stubGlobal("document", { featurePolicy: { allowsFeature: () => true } });
  await microphone.setEnabled(true).catch(() => undefined);
  expect(state().reason).toBe("denied");
});
