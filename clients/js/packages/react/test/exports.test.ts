import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as react from "../src/index.js";
import * as testing from "../src/testing/index.js";

test("the package exports this and nothing else", () => {
  expect(Object.keys(react).sort()).toEqual([
    "BotAudio",
    "CaptionLineText",
    "Captions",
    "DeviceSelect",
    "MicToggle",
    "StartAudio",
    "Visualizer",
    "VoxwireProvider",
    "captionLine",
    "captionWords",
    "useAudioLevel",
    "useBotState",
    "useCanvas",
    "useCaptions",
    "useConnection",
    "useConversation",
    "useDevices",
    "useFiles",
    "useMicrophone",
    "useQuality",
    "useTool",
    "useVoxwire",
    "useVoxwireEvent",
  ]);
  expect(Object.keys(testing).sort()).toEqual(["FakeClient", "Value"]);
});

test("what has state says that it belongs to the client, for React Server Components", () => {
  const read = (path: string) => readFileSync(new URL(`../src/${path}`, import.meta.url), "utf8");
  const modules = [...read("index.ts").matchAll(/from "\.\/(.+)\.js"/g)].map(([, name]) => name);
  const unmarked = modules.filter((name) => {
    const file = /^(components\/|provider)/.test(name ?? "") ? `${name}.tsx` : `${name}.ts`;
    return !read(file).startsWith('"use client";\n');
  });
  expect(modules.length).toBeGreaterThan(15);
  expect(unmarked).toEqual(["caption-text"]); // pure: a server may use it
});
