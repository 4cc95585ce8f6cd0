/** Pipecat's own clients, unmodified, in pages that hold a conversation with our offline bot. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Transport, Way } from "../stock/page/api.js";
import { FAKE_DEVICE, FAKE_USER, launch } from "./e2e/chromium.js";
import { Server } from "./e2e/server.js";
import type { Site } from "./e2e/site.js";
import { INSTALLED, makeStockSite, nobodyIsThere, POLICY, Stock } from "./e2e/stock.js";

const KEY = "a key of the tests that is long enough for it";
const QUESTION = "show me paris on the map";
const MAP = {
  name: "show_on_map",
  description: "Shows a place on the map.",
  parameters: { type: "object", properties: { place: { type: "string" } } },
};
const PATIENT = { voice_gap_ms: 60_000, hello_timeout_ms: 60_000, dead_after_ms: 120_000 };
const TRIES = 3;

let site: Site;
let open: Server;
let guarded: Server;
let browser: Browser;

beforeAll(async () => {
  if (!INSTALLED) return;
  site = await makeStockSite();
  const options = { bot: "open", folder: site.folder, policy: POLICY } as const;
  [open, guarded] = await Promise.all([
    Server.start({ ...options, texts: { question: QUESTION }, settings: PATIENT }),
    Server.start({ ...options, settings: { ...PATIENT, key: KEY } }),
  ]);
  await Promise.all([open, guarded].map((server) => server.ready()));
  browser = await launch([FAKE_DEVICE, FAKE_USER]);
});

afterAll(async () => {
  await browser?.close();
  await Promise.all([open, guarded].map((server) => server?.stop()));
  site?.remove();
});

async function token(): Promise<string> {
  const answer = await fetch(`${guarded.url}/v1/tokens`, {
    method: "POST",
    headers: { Authorization: `Bearer ${KEY}`, "Content-Type": "application/json" },
    body: JSON.stringify({ user: "ada" }),
  });
  return (await answer.json()).token;
}

/** The way to a server's bot. */
async function way(transport: Transport, how: Way["how"], server: Server): Promise<Way> {
  const socket = `ws${server.url.slice(4)}/ws-client`;
  const direct = transport === "webrtc" ? `${server.url}/api/offer` : socket;
  return {
    how,
    endpoint: how === "start" ? `${server.url}/start` : direct,
    token: server === guarded ? await token() : undefined,
    asked: { plan: "pro", tools: [MAP] },
  };
}

/** Statuses of the parts of what the bot spoke: each is new, then heard word by word, then over. */
function statuses(outputs: readonly Record<string, unknown>[]): Map<unknown, unknown[]> {
  const parts = new Map<unknown, unknown[]>();
  for (const { segment_id: id, spoken_status: status } of outputs) {
    parts.set(id, [...(parts.get(id) ?? []), status]);
  }
  return parts;
}

/** What a model has in mind, without what it was told of its tools. */
interface Message {
  readonly role: string;
  readonly content?: unknown;
  readonly tool_calls?: unknown;
}

/** Says the question; what was understood. */
async function say(stock: Stock): Promise<string> {
  const before = await stock.mark();
  await stock.run(() => window.stock.say("question.wav"));
  const final = (before: number) =>
    window.stock.events
      .slice(before)
      .find(({ type, data }) => type === "onUserTranscript" && data.final)?.data.text;
  await stock.until("a spoken question is understood, somehow", final, before);
  return stock.run(final, before);
}

/** A spoken question cuts the greeting; a tool of the page answers it. */
async function askByVoice(stock: Stock): Promise<void> {
  await stock.speaks("Hello");
  await stock.until("the greeting is heard", () => window.stock.ear.lastLoud() > 0);
  // A page that has no processor for a while records holes.
  for (let tries = 1; (await say(stock)) !== QUESTION; tries += 1)
    expect(tries).toBeLessThan(TRIES);
  await stock.speaks("pinned by the page");
  await stock.until("it is over", () => {
    const { events } = window.stock;
    const called = events.findIndex(({ type }) => type === "onLLMFunctionCallStopped");
    return events.slice(called).some(({ type }) => type === "onBotStoppedSpeaking");
  });

  expect(await stock.run(() => window.stock.calls)).toEqual([{ place: "Paris" }]);
  const [asked] = await stock.of("onLLMFunctionCallInProgress");
  expect(asked).toMatchObject({ function_name: "show_on_map", arguments: { place: "Paris" } });
  const [stopped] = await stock.of("onLLMFunctionCallStopped");
  expect(stopped).toMatchObject({ tool_call_id: asked.tool_call_id, cancelled: false });
  expect(stopped.result).toBe("Paris, pinned by the page");
  expect(await stock.of("onLLMFunctionCallStarted")).toHaveLength(1);
}

/** The page fell silent for the user, before the greeting was over. */
async function wasCut(stock: Stock): Promise<string> {
  const { silent, answered, greeting } = await stock.run(() => {
    const { ear, events } = window.stock;
    const cut = events.findIndex(({ type }) => type === "onUserStartedSpeaking");
    const told = events.filter(({ type }) => type === "onBotTtsText");
    const first = told[0]?.data.utterance_id;
    const answer = told.find(({ data }) => data.utterance_id !== first);
    const words = told.filter(({ data }) => data.utterance_id === first);
    return {
      silent: ear.silentFrom(events[cut]?.at ?? 0, 400),
      answered: answer?.at ?? 0,
      greeting: words.map(({ data }) => data.text).join(" "),
    };
  });
  expect(silent).toBeGreaterThan(0);
  expect(silent).toBeLessThan(answered);
  expect(greeting).toMatch(/^Hello/);
  expect(greeting).not.toMatch(/story/); // its last words
  return greeting;
}

/** Words carry their times, and text its progress. */
async function isToldWithItsTimes(stock: Stock): Promise<void> {
  const words = await stock.of("onBotTtsText");
  const answer = words.filter(({ utterance_id: id }) => id === words.at(-1).utterance_id);
  expect(answer.map(({ word_index: index }) => index)).toEqual(answer.map((_, index) => index));
  for (const [index, word] of answer.entries()) {
    expect(word.end_ms).toBeGreaterThan(word.start_ms);
    expect(word.start_ms).toBeGreaterThanOrEqual(answer[index - 1]?.end_ms ?? 0);
  }
  const outputs = (await stock.of("onBotOutput")).filter(
    ({ utterance_id: id }) => id === answer[0].utterance_id,
  );
  expect(outputs.every(({ will_be_spoken: spoken }) => spoken)).toBe(true);
  for (const part of statuses(outputs).values()) {
    const heard = part.slice(1, -1);
    expect([part[0], ...heard.slice(0, 1), part.at(-1)]).toEqual(
      heard.length ? ["new", "in-progress", "completed"] : ["new", "completed"],
    );
    expect(new Set(heard).size).toBeLessThan(2);
  }
}

/** Texts and messages of the page's program, and what came of them in the bot. */
async function typesAndAsks(stock: Stock, greeting: string): Promise<void> {
  let from = await stock.mark();
  await stock.run(() => window.stock.sendText("my name is emma"));
  await stock.speaks("Nice to meet you, Emma.", from);
  await stock.until(
    "it is over",
    (from) => window.stock.events.slice(from).some(({ type }) => type === "onBotStoppedSpeaking"),
    from,
  );
  from = await stock.mark();
  await stock.types("what is my name", "Emma");
  const silent = await stock.run((from) => window.stock.spoken(from), from);
  expect(silent).toBe("");

  await stock.run(() => {
    for (let n = 0; n < 3; n += 1) window.stock.sendMessage("note", { n });
  });
  const notes = await stock.run(() => window.stock.request("notes"));
  expect(notes).toEqual([0, 1, 2].map((n) => ["note", { n }]));
  const mind = (await stock.run(() => window.stock.request("context"))) as Message[];
  expect(mind[0]).toMatchObject({ role: "assistant", content: greeting });
  const asked = mind.slice(mind.findIndex(({ content }) => content === QUESTION));
  expect(asked.map(({ role }) => role)).toEqual([
    ...["user", "assistant", "tool", "assistant", "user", "assistant", "user", "assistant"],
  ]);
  expect(asked[2]?.content).toContain("pinned by the page");
  expect(asked.at(-1)?.content).toBe("Your name is Emma.");
}

/** The whole of it. */
async function converse(transport: Transport, how: Way["how"], server: Server): Promise<void> {
  const stock = await Stock.open(browser, server.url, transport);
  await stock.connect(await way(transport, how, server));
  const [ready] = await stock.of("onBotReady");
  expect(ready).toMatchObject({ version: "2.2.0", about: { library: "voxwire-server" } });
  await askByVoice(stock);
  await isToldWithItsTimes(stock);
  await typesAndAsks(stock, await wasCut(stock));
  await stock.run(() => window.stock.disconnect());
  expect(await stock.run(() => window.stock.state())).toBe("disconnected");
  await stock.close();
}

/** Connects, asks something, and has the bot go. */
async function visit(transport: Transport, how: Way["how"], server: Server): Promise<void> {
  const stock = await Stock.open(browser, server.url, transport);
  await stock.connect(await way(transport, how, server));
  await stock.run(() => window.stock.sendText("thank you"));
  await stock.speaks("You are welcome.");
  await stock.run(() => window.stock.disconnectBot());
  await stock.until("the bot went", () => window.stock.of("onDisconnected").length > 0);
  const left = await stock.of("onBotDisconnected");
  expect(left).toHaveLength(transport === "webrtc" ? 1 : 0); // the other has no word for it
  await stock.close();
}

const TRANSPORTS = ["webrtc", "websocket"] as const;

describe.skipIf(!INSTALLED)("pages of Pipecat's own clients", () => {
  test("hold a conversation, with a token and without one", async () => {
    await Promise.all(TRANSPORTS.map((transport) => converse(transport, "start", guarded)));
    await Promise.all(TRANSPORTS.map((transport) => converse(transport, "connect", open)));
    await Promise.all([guarded, open].map(nobodyIsThere));
  });

  test("come by the other ways, too, and see the bot go", async () => {
    await Promise.all([
      ...TRANSPORTS.map((transport) => visit(transport, "connect", guarded)),
      ...TRANSPORTS.map((transport) => visit(transport, "start", open)),
    ]);
    await Promise.all([guarded, open].map(nobodyIsThere));
  });
});
