/** A peer connection that has nothing to try says so at once, not when a deadline is over. */
import type { VoxwireError } from "@voxwire/protocol";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Peer } from "./peer.js";

/** What a `Peer` uses of a connection. */
class FakeConnection {
  static last: FakeConnection;
  iceConnectionState = "new";
  connectionState = "new";
  signalingState = "stable";
  onicecandidate: ((event: { candidate: unknown }) => void) | null = null;
  constructor() {
    FakeConnection.last = this;
  }
  addTransceiver() {
    return { receiver: {}, sender: { replaceTrack: async () => {} } };
  }
  async setRemoteDescription() {}
  close() {}
  gathered() {
    this.onicecandidate?.({ candidate: null });
  }
}

let failures: VoxwireError[];
let prepared: unknown[];
let peer: Peer;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("RTCPeerConnection", FakeConnection);
  failures = [];
  prepared = [];
  peer = new Peer(
    {
      ...{ pathId: 1, iceServers: [], icePolicy: "all" },
      prepare: (connection) => prepared.push(connection),
    },
    {
      candidate: () => {},
      stream: () => {},
      connected: () => {},
      failed: (error) => failures.push(error),
    },
  );
});

afterEach(() => {
  peer.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it("has the connection prepared before its offer, once", async () => {
  expect(prepared).toEqual([FakeConnection.last]);
});

it("fails when both sides are known and no candidates pair", async () => {
  await peer.accept("v=0");
  await vi.advanceTimersByTimeAsync(5000);
  expect(failures).toEqual([]); // its own side is not known
  FakeConnection.last.gathered();
  await vi.advanceTimersByTimeAsync(800);
  expect(failures).toMatchObject([{ code: "ice_failed", retryable: true }]);
});

it("does not fail while candidates are checked", async () => {
  FakeConnection.last.gathered();
  await peer.accept("v=0");
  FakeConnection.last.iceConnectionState = "checking";
  await vi.advanceTimersByTimeAsync(5000);
  expect(failures).toEqual([]);
});
