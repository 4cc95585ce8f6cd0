/** The page's sound where the browser refuses it. */
import { VoxwireError } from "@voxwire/protocol";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { AudioGraph } from "./audio-graph.js";

const logger = { debug() {}, info() {}, warn() {}, error() {} };

class Node {
  gain = {};
  connect(to: unknown) {
    return to;
  }
  disconnect() {}
}

class Context {
  state = "suspended";
  onstatechange = null;
  currentTime = 0;
  destination = new Node();
  added: string[] = [];
  audioWorklet = {
    addModule: async (url: string) => {
      this.added.push(url);
      throw new DOMException(`Unable to load ${url}`, "AbortError");
    },
  };
  async resume() {
    throw new DOMException("not allowed", "InvalidStateError");
  }
  async close() {
    this.state = "closed";
  }
}

let graph: AudioGraph;

beforeEach(() => {
  vi.stubGlobal("AudioContext", Context);
  vi.stubGlobal("GainNode", Node);
  vi.stubGlobal("AnalyserNode", Node);
  vi.stubGlobal("document", { baseURI: "https://app.test/" });
});
afterEach(async () => {
  await graph.close();
  vi.unstubAllGlobals();
});

function made(workletUrl?: string): AudioGraph {
  graph = new AudioGraph({ volume: 1, workletUrl, logger, onBlocked: () => {} });
  return graph;
}
const failure = (work: Promise<unknown>) => work.catch((error: unknown) => error);

test("a browser that does not start the sound gives an error with a code", async () => {
  const error = await failure(made().resume());
  expect(error).toBeInstanceOf(VoxwireError);
  expect(error).toMatchObject({ code: "device", cause: { name: "InvalidStateError" } });
  expect(String(error)).toMatch(/in a click/);
});

test("a worklet that cannot be loaded is named, with what to do", async () => {
  const error = await failure(made("/static/worklets").load("capture"));
  expect(String(error)).toMatch(/https:\/\/app\.test\/static\/worklets\/capture\.worklet\.js/);
  expect(String(error)).toMatch(/media\.workletUrl/);
});

test("a worklet that a bundler made a data: URL of is not repeated in the error", async () => {
  vi.doMock("./worklet-urls.js", () => ({
    besides: { capture: () => new URL("data:text/javascript,registerProcessor('secret')") },
  }));
  const error = (await failure(made().load("capture"))) as VoxwireError;
  vi.doUnmock("./worklet-urls.js");
  const told = [error, error.cause, (error as Error).stack].map(String).join();
  expect(told).toMatch(/policy forbids/);
  expect(told).not.toMatch(/secret/);
});

test("the addresses of the worklets are such that Vite leaves the files alone", async () => {
  const { besides } = await import("./worklet-urls.js");
  for (const [name, url] of Object.entries(besides)) {
    expect(url().href).toMatch(new RegExp(`/worklets/${name}\\.worklet\\.js\\?no-inline$`));
  }
});
