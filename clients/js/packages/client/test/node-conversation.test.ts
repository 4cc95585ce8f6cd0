/** A spoken conversation in Node with the real server: WAV in, WAV out, over WebSocket. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ClientEventMap, EventType } from "../src/api.js";
import { tool } from "../src/index.js";
import { createClient, wavMedia } from "../src/node/index.js";
import { readWav } from "../src/node/wav.js";
import { type RealServer, realServer, speak } from "./real-server.js";

const RATE = 24_000;
let server: RealServer;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "voxwire-"));
  server = await realServer();
}, 90_000);
afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
}, 20_000);

test("a question is heard, a tool runs, the answer is spoken and written at its positions", {
  timeout: 180_000,
}, async () => {
  const input = join(folder, "question.wav");
  const output = join(folder, "bot.wav");
  speak(input, "what is the weather in paris tomorrow");
  const media = wavMedia({ input: `${input}@300`, output }); // into the greeting
  const client = createClient({ url: server.url, media });
  const seen: Partial<{ [K in EventType]: ClientEventMap[K][] }> = {};
  const keep = <K extends EventType>(type: K) =>
    client.on(type, (event) => {
      const events = (seen[type] ?? []) as ClientEventMap[K][];
      events.push(event);
      seen[type] = events as (typeof seen)[K];
    });
  for (const type of ["userTranscript", "botWord", "toolCallStarted", "error"] as const) keep(type);
  await client.connect();
  await media.done;
  const { turns } = client.conversation.get();
  await client.disconnect();
  const finals = (seen.userTranscript ?? []).filter(({ final }) => final);
  expect(finals.map(({ text }) => text.toLowerCase()).join(" ")).toContain("weather in paris");
  expect(seen.toolCallStarted?.map(({ name }) => name)).toEqual(["get_weather"]);
  expect(seen.error).toBeUndefined();
  const answer = (seen.botWord ?? []).filter(({ utteranceId }) => utteranceId !== "u1");
  expect(answer.map(({ text }) => text).join(" ")).toMatch(/In Paris it will be/);
  expect(turns[0]).toMatchObject({ role: "bot", utterances: [{ end: "interrupted" }] });
  const spoken = turns.filter(({ role }) => role === "bot").at(-1);
  expect(spoken).toMatchObject({ interrupted: false, utterances: [{ end: "completed" }, {}] });
  const wav = readWav(output, RATE);
  const level = (fromMs: number, toMs: number) =>
    wav
      .subarray((fromMs * RATE) / 1000, (toMs * RATE) / 1000)
      .reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  const loud = answer.filter(({ startMs, endMs }) => level(startMs, endMs) > 600);
  const share = loud.length / answer.length;
  process.stdout.write(
    `${answer.length} words in the answer, ${loud.length} of them sound at their positions\n`,
  );
  expect(share).toBeGreaterThan(0.9);
  expect(client.status.get()).toEqual({ status: "closed", reason: "client" });
});

test("in writing: a tool of the client, a cut connection, a request nobody answers", {
  timeout: 60_000,
}, async () => {
  const shown: unknown[] = [];
  const place = { type: "object", properties: { city: { type: "string" } } } as const;
  const client = createClient({
    url: server.url,
    media: false,
    tools: [
      tool("show_on_map", place, (args) => {
        shown.push(args);
        return { shown: true };
      }),
    ],
  });
  await client.connect();
  const ended = client.once("toolCallEnded", { timeoutMs: 20_000 });
  await client.sendText("show me paris on the map", { speak: false });
  expect(await ended).toMatchObject({ name: "show_on_map", outcome: "done" });
  expect(shown).toHaveLength(1);
  const { sessionId } = client.status.get() as { sessionId: string };
  const back = client.once("connectionChanged");
  client.simulate.dropControl();
  expect(await back).toMatchObject({ state: "reconnecting" });
  const transcript = client.once("userTranscript");
  await client.sendText("thank you", { speak: false });
  expect((await transcript).text).toBe("thank you");
  while (client.status.get().status !== "ready") await client.once("status"); // with a media path
  expect(client.status.get()).toMatchObject({ status: "ready", sessionId });
  await expect(client.call("nothing")).rejects.toMatchObject({ code: "unsupported" });
  await client.disconnect();
});

test("a server that is not there is named", async () => {
  const client = createClient({ url: "ws://127.0.0.1:9", media: false });
  await expect(client.connect()).rejects.toMatchObject({
    name: "TransportError",
    code: "unreachable",
    reason: "nothing answers at 127.0.0.1:9: is the server running?",
  });
});
