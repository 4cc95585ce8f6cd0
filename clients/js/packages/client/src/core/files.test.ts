import { expect, test } from "vitest";
import type { ClientOptions, SendFileOptions } from "../api.js";
import { createClient } from "../create-client.js";
import {
  type FakeFile,
  FakeServer,
  fakeMedia,
  type ScriptedBot,
  VirtualTime,
} from "../testing/index.js";

const ACCEPTS = { types: ["image/*", "text/plain"], maxBytes: 300_000 };

async function up(bot: ScriptedBot = {}, options: Partial<ClientOptions> = {}) {
  const clock = new VirtualTime();
  const files: FakeFile[] = [];
  const onFile = (file: FakeFile) => void files.push(file);
  const server = new FakeServer({ clock, bot: { accepts: ACCEPTS, onFile, ...bot } });
  const media = fakeMedia({ clock, carriers: ["websocket"] });
  const { environment } = server;
  const client = createClient({ url: "/", environment, media: () => media, ...options });
  await clock.until(client.connect());
  // loaded before time is virtual alone: a module comes when the machine has it
  await expect(client.sendFile("", "", new Uint8Array())).rejects.toThrow();
  const send = (data: Uint8Array | Blob, options?: SendFileOptions) =>
    client.sendFile("a.png", "image/png", data, options);
  const done = async () => {
    await clock.until(client.disconnect());
    expect([clock.pending, server.network.open.size]).toEqual([0, 0]);
    expect(client.accepts.get()).toBeUndefined();
  };
  return { clock, server, client, files, send, done };
}

const bytes = (size: number) =>
  Uint8Array.from({ length: size }, (_, at) => (at * 7 + at / 251) & 255);

test("a file comes whole, with what was said of it, and its progress is told", async () => {
  const { clock, client, files, send, done } = await up();
  expect(client.accepts.get()).toMatchObject(ACCEPTS);
  const progress: number[] = [];
  const data = bytes(100_000);
  const onProgress = (taken: number, of: number) => void progress.push(taken, of);
  await clock.until(send(data, { text: "what is this?", run: false, onProgress }));
  expect(files).toEqual([
    { name: "a.png", type: "image/png", text: "what is this?", runImmediately: false, data },
  ]);
  expect(progress.slice(0, 2)).toEqual([0, 100_000]);
  expect(progress.length).toBeGreaterThan(4);
  await clock.until(client.sendFile("", "Text/Plain; charset=utf-8", new Blob(["hé"])));
  expect(files[1]).toMatchObject({ name: "", type: "text/plain" });
  await done();
});

test("what the page changes while it is sent is not sent", async () => {
  const { clock, files, send, done } = await up();
  const data = bytes(50_000);
  const sending = send(data);
  await clock.advance(0);
  data.fill(0);
  await clock.until(sending);
  expect(files[0]?.data).toEqual(bytes(50_000));
  await done();
});

test.each([
  ["a.mp4", "video/mp4", bytes(1), "unsupported"],
  ["a.png", "image/png", bytes(300_001), "too_large"],
  ["a.png", "image/png", bytes(0), "invalid_argument"],
  ["a.png", "png", bytes(1), "invalid_argument"],
  ["a/b.png", "image/png", bytes(1), "invalid_argument"],
  ["a\u0000.png", "image/png", bytes(1), "invalid_argument"],
  ["..", "image/png", bytes(1), "invalid_argument"],
  ["\u202egnp.exe", "image/png", bytes(1), "invalid_argument"],
  ["a".repeat(256), "image/png", bytes(1), "invalid_argument"],
])("%s of type %s is refused where it is sent", async (name, type, data, code) => {
  const { client, server, done } = await up();
  await expect(client.sendFile(name, type, data)).rejects.toMatchObject({ code });
  expect(server.said("fileBegin")).toEqual([]);
  await done();
});

test("a bot that takes no files, and no session at all", async () => {
  const { clock, client, done } = await up({ accepts: undefined as never });
  await expect(client.sendFile("a", "a/b", bytes(1))).rejects.toMatchObject({
    code: "unsupported",
  });
  await done();
  const late = client.sendFile("a", "a/b", bytes(1));
  await expect(clock.until(late)).rejects.toMatchObject({ code: "invalid_state" });
});

test("a refusal of the server is the error", async () => {
  const { clock, server, send, done } = await up();
  const sending = send(bytes(200_000), {
    onProgress: () => server.session.files.refuse(server.said("fileBegin")[0]?.fileId ?? "", "no"),
  });
  await expect(clock.until(sending)).rejects.toMatchObject({ code: "malformed", reason: "no" });
  await done();
});

test("aborted, before and meanwhile, a file is given up", async () => {
  const { clock, server, files, send, done } = await up();
  const gone = AbortSignal.abort(new Error("never"));
  await expect(send(bytes(1), { signal: gone })).rejects.toThrow("never");
  expect(server.said("fileBegin")).toEqual([]);
  const controller = new AbortController();
  const { signal } = controller;
  const onProgress = (taken: number) => taken && controller.abort(new Error("enough"));
  await expect(clock.until(send(bytes(200_000), { signal, onProgress }))).rejects.toThrow("enough");
  await clock.advance(100);
  expect([server.session.files.open, files.length]).toEqual([0, 0]);
  await done();
});

test("what the page's progress throws gives the file up", async () => {
  const { clock, server, send, done } = await up();
  const onProgress = () => {
    throw new Error("mine");
  };
  await expect(clock.until(send(bytes(200_000), { onProgress }))).rejects.toThrow("mine");
  await clock.advance(100);
  expect(server.session.files.open).toBe(0);
  await done();
});

test.each([false, true])("a lost socket loses nothing of it (messages lost: %s)", async (lost) => {
  const { clock, server, files, send, done } = await up();
  const data = bytes(290_000);
  let cuts = 0;
  const onProgress = (taken: number) => {
    if (taken < (cuts + 1) * 80_000) return;
    cuts += 1;
    server.forgetful = lost;
    server.network.cut();
  };
  await clock.until(send(data, { onProgress }));
  expect(cuts).toBe(3);
  expect(files.map((file) => file.data)).toEqual([data]);
  expect(server.said("fileBegin")).toHaveLength(lost ? 4 : 1);
  await done();
});

test("a session that ends ends what is being sent", async () => {
  const { clock, client, send } = await up();
  const sending = send(bytes(200_000), { onProgress: () => void client.disconnect() });
  await expect(clock.until(sending)).rejects.toMatchObject({ code: "invalid_state" });
  await clock.advance(2000);
});
