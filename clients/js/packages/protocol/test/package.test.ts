import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { expect, test } from "vitest";
import * as protocol from "../src/index.js";
import * as rtvi from "../src/rtvi/index.js";

const SOURCE = fileURLToPath(new URL("../src/", import.meta.url));

async function made(names: string, entry = "./index.js") {
  const result = await build({
    stdin: { contents: `export ${names} from "${entry}"`, resolveDir: SOURCE, loader: "ts" },
    bundle: true,
    format: "esm",
    minify: true,
    write: false,
    metafile: true,
  });
  const text = result.outputFiles[0]?.text ?? "";
  return { text, inputs: Object.keys(result.metafile.inputs) };
}

const bundle = async (names: string) => (await made(`{ ${names} }`)).text;

test("no protobuf library is in a bundle, nor its descriptors, and it is small", async () => {
  const { text, inputs } = await made("*");
  expect(inputs.filter((name) => /node_modules|_pb\./.test(name))).toEqual([]);
  expect(inputs.some((name) => name.endsWith("gen/tables.ts"))).toBe(true);
  expect(text).not.toMatch(/^import|\bimport\(/m);
  const wire = await bundle("wire");
  expect(gzipSync(wire, { level: 9 }).length).toBeLessThan(7000);
});

test("RTVI is an entry of its own, without protobuf's library", async () => {
  const { text, inputs } = await made("*", "./rtvi/index.js");
  expect(inputs.filter((name) => /node_modules|_pb\./.test(name))).toEqual([]);
  expect(gzipSync(text, { level: 9 }).length).toBeLessThan(13_200);
  const { inputs: main } = await made("*");
  expect(main.filter((name) => name.includes("rtvi"))).toEqual([]);
  expect(Object.keys(rtvi).sort()).toEqual([
    "BotFiles",
    "BotRequests",
    "CHAT_LABEL",
    "LABEL",
    "LATE_MS",
    "MAX_FRAME_BYTES",
    "MAX_MESSAGE_BYTES",
    "MAX_MESSAGE_DEPTH",
    "RTVI_VERSION",
    "RtviError",
    "StockBot",
    "audioFrame",
    "decode",
    "encode",
    "messageFrame",
    "parseVersion",
    "pingText",
    "readChat",
    "readFrame",
    "trackStatusText",
    "versionText",
  ]);
});

test("a client's bundle has the executing side of tools only", async () => {
  expect(await bundle("ToolCalls")).toContain("the call passed its deadline");
  const client = await bundle("fromEnvelope, snapshotOf, Timeline, decodeWords, ToolRuns, Channel");
  expect(client).not.toContain("the call passed its deadline");
});

test("the package exports what it says and nothing else", () => {
  expect(Object.keys(protocol).sort()).toMatchSnapshot();
});
