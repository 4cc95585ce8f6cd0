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
    "useMicrophone",
    "useQuality",
    "useTool",
    "useVoxwire",
    "useVoxwireEvent",
  ]);
  expect(Object.keys(testing).sort()).toEqual(["FakeClient", "Value"]);
});
