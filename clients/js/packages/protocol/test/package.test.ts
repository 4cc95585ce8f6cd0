import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { expect, test } from "vitest";
import * as protocol from "../src/index.js";

const SOURCE = fileURLToPath(new URL("../src/", import.meta.url));

async function made(names: string) {
  const result = await build({
    stdin: { contents: `export ${names} from "./index.js"`, resolveDir: SOURCE, loader: "ts" },
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

test("a client's bundle has the executing side of tools only", async () => {
  expect(await bundle("ToolCalls")).toContain("the call passed its deadline");
  const client = await bundle("fromEnvelope, snapshotOf, Timeline, decodeWords, ToolRuns, Channel");
  expect(client).not.toContain("the call passed its deadline");
});

test("the package exports what it says and nothing else", () => {
  expect(Object.keys(protocol).sort()).toMatchSnapshot();
});
