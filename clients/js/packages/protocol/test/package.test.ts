import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { expect, test } from "vitest";
import * as protocol from "../src/index.js";

const SOURCE = fileURLToPath(new URL("../src/", import.meta.url));

async function bundle(names: string): Promise<string> {
  const made = await build({
    stdin: { contents: `export { ${names} } from "./index.js"`, resolveDir: SOURCE, loader: "ts" },
    bundle: true,
    format: "esm",
    minify: true,
    write: false,
  });
  return made.outputFiles[0]?.text ?? "";
}

test("a client's bundle has the executing side of tools only", async () => {
  expect(await bundle("ToolCalls")).toContain("the call passed its deadline");
  const client = await bundle("fromEnvelope, snapshotOf, Timeline, decodeWords, ToolRuns, Channel");
  expect(client).not.toContain("the call passed its deadline");
});

test("the package exports what it says and nothing else", () => {
  expect(Object.keys(protocol).sort()).toMatchSnapshot();
});
