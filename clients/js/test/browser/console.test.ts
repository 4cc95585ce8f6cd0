/** The console, built as the server ships it, in Chromium against the real server. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type OfflineServer, python, startOffline } from "./offline-server.js";

const run = promisify(execFile);
const scripts = fileURLToPath(new URL("../../apps/console/scripts/", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "voxwire-console-"));
const microphone = join(folder, "microphone.wav");

/** Silence while the bot greets, a question, silence. */
const RENDER = `
import asyncio, sys, wave
from voxwire_server.bots.offline.espeak import shared_espeak
from voxwire_server.bots.offline.phrases import render_pcm

async def main():
    pcm, _ = await render_pcm("what is the weather in paris", sample_rate=48000)
    with wave.open(sys.argv[1], "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(48000)
        file.writeframes(bytes(2 * 48000 * 12) + pcm + bytes(2 * 48000 * 14))
    await shared_espeak().aclose()

asyncio.run(main())
`;

let server: OfflineServer | undefined;

beforeAll(async () => {
  await run(python, ["-c", RENDER, microphone]);
  server = await startOffline();
});

afterAll(() => {
  server?.stop();
  rmSync(folder, { recursive: true });
});

/** What a script says when every line of it begins with "ok". */
async function script(name: string, ...args: string[]): Promise<string[]> {
  const ended = await run(process.execPath, [join(scripts, name), ...args]).catch(
    (error: { stdout?: string; stderr?: string }) => error,
  );
  const lines = (ended.stdout ?? "").split("\n").filter((line) => line !== "");
  return lines.length > 0 ? lines : [String(ended.stderr)];
}

describe.each(["webrtc", "websocket"])("over %s", (transport) => {
  test("a conversation on the console", { timeout: 120_000 }, async () => {
    const lines = await script("e2e.mjs", server?.url ?? "", transport, microphone);
    expect(lines.filter((line) => !line.startsWith("ok"))).toEqual([]);
    expect(lines.length).toBeGreaterThanOrEqual(16);
  });
});

test("layout, axe, stillness, policy", { timeout: 120_000 }, async () => {
  const lines = await script("checks.mjs");
  expect(lines.filter((line) => !line.startsWith("ok"))).toEqual(["all checks passed"]);
});
