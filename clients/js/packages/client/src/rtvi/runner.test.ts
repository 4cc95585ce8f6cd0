import { afterEach, expect, test, vi } from "vitest";
import { asWebSocket, Runner, socketUrl } from "./runner.js";

afterEach(() => vi.unstubAllGlobals());

interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: unknown;
}

/** A runner whose host answers in this order, and what it was asked. */
function runnerOf(...answers: (Response | Error)[]) {
  const asked: Asked[] = [];
  vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
    const { method = "", headers, body } = init;
    asked.push({ method, url, headers: headers as never, body: JSON.parse(String(body)) });
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return answer;
  });
  const options = { url: "http://bot.test/voice", endpoint: "/api/offer" };
  const runner = new Runner({ ...options, token: "secret", headers: { "x-app": "shop" } });
  return { asked, runner };
}
const json = (value: unknown, status = 200) => new Response(JSON.stringify(value), { status });
const never = new AbortController().signal;
const ANSWER = { sdp: "v=0", type: "answer", pc_id: "pc-1" };

test("an offer goes to its endpoint with the token, and its answer names the connection", async () => {
  const { asked, runner } = runnerOf(json(ANSWER), json({ status: "success" }));
  expect(await runner.offer({ sdp: "o=1" }, never)).toEqual({ sdp: "v=0", pcId: "pc-1" });
  const candidate = { candidate: "candidate:1", sdp_mid: "0", sdp_mline_index: 0 };
  await runner.tell("pc-1", [candidate], never);
  const headers = {
    ...{ "content-type": "application/json", authorization: "Bearer secret", "x-app": "shop" },
  };
  const url = "http://bot.test/voice/api/offer";
  expect(asked).toEqual([
    { method: "POST", url, headers, body: { sdp: "o=1", type: "offer" } },
    { method: "PATCH", url, headers, body: { pc_id: "pc-1", candidates: [candidate] } },
  ]);
});

test("after a start, offers go to its session", async () => {
  const iceConfig = { iceServers: [{ urls: "stun:s.test" }, { username: "no urls" }, "none"] };
  const { asked, runner } = runnerOf(json({ sessionId: "s-1", iceConfig }), json(ANSWER));
  expect(await runner.start({ transport: "webrtc" }, never)).toEqual({
    sessionId: "s-1",
    iceServers: [{ urls: "stun:s.test" }],
    wsUrl: "",
    token: "",
  });
  await runner.offer({ sdp: "o=1" }, never);
  expect(asked.map(({ url }) => new URL(url).pathname)).toEqual([
    "/voice/start",
    "/voice/sessions/s-1/api/offer",
  ]);
});

test("each refusal is its own error, with what the runner said and whether to try again", async () => {
  const rows: [number, string, boolean][] = [
    [400, "unsupported", false],
    [401, "unauthorized", false],
    [403, "forbidden", false],
    [404, "unreachable", false],
    [408, "timeout", true],
    [413, "too_large", false],
    [422, "version", false],
    [429, "rate_limited", true],
    [500, "unreachable", true],
    [503, "capacity", true],
  ];
  for (const [status, code, retryable] of rows) {
    const { runner } = runnerOf(json({ detail: "because" }, status));
    const failed = runner.offer({ sdp: "" }, never);
    await expect(failed).rejects.toMatchObject({ code, retryable });
    await expect(failed).rejects.toThrow(
      status === 404
        ? "bot.test answered HTTP 404 for /voice/api/offer: because"
        : `bot.test answered HTTP ${status}: because`,
    );
  }
});

test("a host that is not there, and an answer that is none, say so", async () => {
  const failing = (answer: Response | Error) => runnerOf(answer).runner.offer({ sdp: "" }, never);
  await expect(failing(new TypeError("Failed to fetch"))).rejects.toMatchObject({
    code: "unreachable",
    retryable: true,
    reason: expect.stringContaining("allow the page's origin"),
  });
  const wrong = [new Response("<html>"), json([]), json({ ...ANSWER, type: "offer" })];
  for (const answer of [...wrong, json({ ...ANSWER, pc_id: 7 })]) {
    await expect(failing(answer)).rejects.toMatchObject({ code: "malformed" });
  }
});

test("a request that is called off rejects with why", async () => {
  const { runner } = runnerOf(new DOMException("aborted", "AbortError"));
  const given = new AbortController();
  given.abort("enough");
  await expect(runner.offer({ sdp: "" }, given.signal)).rejects.toBe("enough");
});

test("the address that a runner says of itself is reached as the runner is", () => {
  const rows = [
    // the runner says wss for every host but localhost, and the address it is bound to
    ["wss://127.0.0.1:7860/ws-client", "http://127.0.0.1:7860", "ws://127.0.0.1:7860/ws-client"],
    ["wss://0.0.0.0:7860/ws-client", "http://10.0.0.5:7860", "ws://10.0.0.5:7860/ws-client"],
    ["ws://[::]:7860/ws-client", "https://bot.test", "wss://bot.test/ws-client"],
    ["ws://bot.test/ws-client?a=1", "https://bot.test", "wss://bot.test/ws-client?a=1"],
    ["/ws-client", "https://bot.test/x", "wss://bot.test/ws-client"],
    // somewhere else is somewhere else
    ["wss://cloud.test/ws/agent", "https://api.test", "wss://cloud.test/ws/agent"],
  ] as const;
  for (const [said, asked, url] of rows) expect(socketUrl(said, asked)).toBe(url);
  expect(asWebSocket("https://bot.test/x")).toBe("wss://bot.test/x");
});

test("what a runner says that is no WebSocket's address is malformed", () => {
  for (const said of ["ws://[bad", "wss://", "ftp://bot.test/x", "ws://me:word@bot.test/"]) {
    const reading = () => socketUrl(said, "http://bot.test");
    expect(reading, said).toThrow(expect.objectContaining({ code: "malformed" }));
  }
});

test("a runner that was asked with TLS cannot send a session elsewhere without it", () => {
  for (const said of ["ws://cloud.test/ws", "http://cloud.test/ws", "ws://bot.test:8080/ws"]) {
    const reading = () => socketUrl(said, "https://bot.test");
    expect(reading, said).toThrow(expect.objectContaining({ code: "malformed" }));
  }
  expect(socketUrl("ws://cloud.test/ws", "http://bot.test")).toBe("ws://cloud.test/ws");
});
