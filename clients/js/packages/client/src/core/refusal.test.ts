import { expect, test } from "vitest";
import { createClient } from "../create-client.js";
import { FakeServer, fakeMedia, VirtualTime } from "../testing/index.js";
import type { HttpAnswer } from "./http-answer.js";

/** How a connect fails when no WebSocket opens and HTTP answers so. */
async function failing(answer: () => Promise<HttpAnswer>) {
  const clock = new VirtualTime();
  const server = new FakeServer({ clock });
  server.network.state = "refused";
  const asked: string[] = [];
  const environment = {
    ...server.environment,
    ask: (url: string) => {
      asked.push(url);
      return answer();
    },
  };
  const media = fakeMedia({ clock, carriers: ["websocket"] });
  const client = createClient({ url: "wss://bot.test/voice", environment, media: () => media });
  const error = await clock.until(client.connect().then(String, (failure) => failure));
  const diagnosis = await clock.until(client.diagnose());
  const detail = diagnosis.checks.find(({ name }) => name === "server")?.detail;
  return { error, asked, detail, left: clock.pending };
}
const json = (status: number, body: object) => async () => ({ status, body: JSON.stringify(body) });

test("a refused page is told the server's reason, by connect and by diagnose", async () => {
  const reason = "the origin of this page is not allowed";
  const { error, asked, detail, left } = await failing(json(403, { code: "FORBIDDEN", reason }));
  expect(error).toMatchObject({ code: "forbidden", retryable: false });
  expect(error.reason).toBe(`bot.test answered HTTP 403: ${reason}`);
  expect(detail).toBe(error.reason);
  expect(asked[0]).toBe("https://bot.test/voice/v1/session");
  expect(left).toBe(0);
});

test("each status is its own error", async () => {
  for (const [status, code] of [
    [401, "unauthorized"],
    [429, "rate_limited"],
    [503, "capacity"],
    [404, "unreachable"],
  ] as const) {
    const { error } = await failing(json(status, { reason: "so it is" }));
    expect(error).toMatchObject({ code, retryable: status === 429 || status === 503 });
    expect(error.reason).toContain("so it is");
  }
});

test("a server that answers but opens no WebSocket is another trouble than none at all", async () => {
  const proxied = await failing(json(200, { protocol: "voxwire.v1", bots: [] }));
  expect(proxied.error).toMatchObject({ code: "unreachable", action: "reconnect" });
  expect(proxied.error.reason).toMatch(/bot\.test answers, but opens no WebSocket: .*proxy/);
  for (const other of [
    async () => ({ status: 200, body: "<html></html>" }),
    async () => ({ status: 404, body: "Not Found" }),
    async () => ({ status: 0, body: "" }),
  ]) {
    const { error } = await failing(other);
    expect(error.code).toBe("unreachable");
    expect(error.reason).toContain("no control channel is at /voice/v1/session");
  }
  const behind = await failing(async () => ({ status: 502, body: "Bad Gateway" }));
  expect(behind.error).toMatchObject({ code: "unreachable", retryable: true });
  expect(behind.error.reason).toMatch(/answered HTTP 502: .* does not reach the server/);
  const nobody = await failing(() => Promise.reject(new TypeError("failed to fetch")));
  expect(nobody.error.reason).toBe("nothing answers at bot.test: is the server running?");
});

test("a server that takes its time with the reason does not hold the error up", async () => {
  const { error, left } = await failing(() => new Promise(() => {}));
  expect(error.reason).toContain("nothing answers at bot.test");
  expect(left).toBe(0);
});
