/** The package loads and makes a client where there is no page: servers, workers, old Node. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createContext, runInContext } from "node:vm";
import { build } from "esbuild";
import { expect, test } from "vitest";

const source = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** One classic script that leaves the module's exports in `voxwire`. */
async function bundled(entry: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [source(entry)],
    alias: {
      "@voxwire/protocol/rtvi": source("protocol/src/rtvi/index.ts"),
      "@voxwire/protocol/wire": source("protocol/src/wire.ts"),
      "@voxwire/protocol": source("protocol/src/index.ts"),
    },
    ...{ bundle: true, write: false, format: "iife", globalName: "voxwire", target: "es2022" },
    logLevel: "silent",
  });
  return outputFiles?.[0]?.text ?? "";
}

/** A global object with nothing of a page, and nothing of Node. */
function bare(more: object = {}) {
  const { AbortController, AbortSignal, URL, TextEncoder, TextDecoder } = globalThis;
  return createContext({
    ...{ AbortController, AbortSignal, URL, TextEncoder, TextDecoder, performance, crypto },
    ...{ setTimeout, clearTimeout, queueMicrotask, ...more },
  });
}

const MAKE = `
  const client = voxwire.createClient({ url: "/", tools: [voxwire.tool("t", { type: "object" }, () => 1)] });
  const off = client.on("botWord", () => {});
  off();
  client.status.subscribe(() => {})();
  JSON.stringify([client.status.get(), client.conversation.get(), client.positionMs, client.report().status]);
`;
const IDLE = [{ status: "idle" }, { turns: [], skipped: 0 }, 0, "idle"];

test("on a server that renders pages: no window, no document, no navigator", async () => {
  const context = bare();
  runInContext(await bundled("client/src/index.ts"), context);
  expect(JSON.parse(runInContext(MAKE, context))).toEqual(IDLE);
  const failed = await runInContext(
    `voxwire.createClient({ url: "/", media: false }).connect().catch((error) => error.code + ": " + error.reason)`,
    context,
  );
  expect(failed).toMatch(/^invalid_argument: a relative URL needs a page/);
});

test("in a worker: self, no document", async () => {
  const context = bare();
  runInContext("globalThis.self = globalThis;", context);
  runInContext(await bundled("client/src/index.ts"), context);
  expect(JSON.parse(runInContext(MAKE, context))).toEqual(IDLE);
});

test("nothing of a page is read while a module loads", () => {
  const index = readFileSync(source("client/src/index.ts"), "utf8");
  expect(index).toContain("createClient");
  const touched: string[] = [];
  const trap = (name: string) =>
    new Proxy(() => {}, {
      get: (_, key) => touched.push(`${name}.${String(key)}`) && undefined,
      apply: () => touched.push(`${name}()`) && undefined,
    });
  const names = ["window", "document", "navigator", "localStorage", "AudioContext", "WebSocket"];
  const context = bare(Object.fromEntries(names.map((name) => [name, trap(name)])));
  return bundled("client/src/index.ts").then((code) => {
    runInContext(code, context);
    expect(touched).toEqual([]);
  });
});

test("the public names are these", async () => {
  const { default: _, ...names } = (await import("../src/index.js")) as Record<string, unknown>;
  expect(Object.keys(names).sort()).toMatchInlineSnapshot(`
    [
      "BotError",
      "MediaError",
      "ProtocolError",
      "SessionError",
      "SignalingError",
      "ToolError",
      "TransportError",
      "UsageError",
      "VoxwireError",
      "createClient",
      "joinTexts",
      "tool",
    ]
  `);
});

test("what speaks to stock bots is in an entry of its own, and loads where there is no page", async () => {
  const main = await bundled("client/src/index.ts");
  expect(main).not.toContain("rtvi-ai");
  const context = bare();
  runInContext(await bundled("client/src/rtvi/index.ts"), context);
  expect(runInContext("Object.keys(voxwire).join()", context)).toBe("pipecatBot");
  expect(runInContext("voxwire.pipecatBot().locate('/voice/', 'https://a.test/')", context)).toBe(
    "https://a.test/voice",
  );
});
