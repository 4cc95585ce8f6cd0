import { expect, test } from "vitest";
import * as z from "zod";
import type { Tool } from "../api.js";
import { createClient } from "../create-client.js";
import { FakeServer, fakeMedia, VirtualTime } from "../testing/index.js";
import { ToolError, tool } from "./tool.js";

const ANY = { type: "object" } as const;

async function up(...tools: Tool[]) {
  const clock = new VirtualTime();
  const server = new FakeServer({ clock });
  const { environment } = server;
  const media = () => fakeMedia({ clock, carriers: ["websocket"] });
  const client = createClient({ url: "/", environment, media, tools });
  await clock.until(client.connect());
  return { clock, server, client, session: server.session };
}

test("a tool is declared with its schema, JSON or zod, and its result is the answer", async () => {
  const add = z.object({ a: z.number(), b: z.coerce.number() });
  const { clock, server, session } = await up(
    tool("add", add, ({ a, b }) => a + b, { description: "Adds.", timeoutMs: 2000 }),
    tool("echo", ANY, async (args) => args),
  );
  const [declared] = server.hellos[0]?.tools ?? [];
  expect(declared).toMatchObject({ name: "add", description: "Adds.", timeoutMs: 2000 });
  const schema = JSON.parse(declared?.parametersJson ?? "");
  expect(schema).toMatchObject({ type: "object", required: ["a", "b"] });
  expect(Object.keys(schema)).not.toContain("$schema");
  expect(await clock.until(session.callTool("add", { a: 1, b: "2" }))).toEqual({ result: 3 });
  expect(await clock.until(session.callTool("echo", { x: [1] }))).toEqual({ result: { x: [1] } });
  const misfit = await clock.until(session.callTool("add", { a: "secret", b: 2 }));
  expect(misfit.error?.reason).toBe("the arguments do not fit: a");
});

test("an error is told by its words only when they are meant for the bot", async () => {
  const { clock, session } = await up(
    tool("told", ANY, () => {
      throw new ToolError("the shop is closed");
    }),
    tool("kept", ANY, async () => {
      throw new TypeError("a secret");
    }),
    tool("odd", ANY, () => ({ f: Number.NaN })),
  );
  const reason = async (name: string) => {
    const { error } = await clock.until(session.callTool(name));
    return error?.reason;
  };
  expect(await reason("told")).toBe("the shop is closed");
  expect(await reason("kept")).toBe("TypeError");
  expect(await reason("odd")).toMatch(/JSON/);
  expect(await reason("nothing")).toBe("there is no such tool");
});

test("a call is stopped by its signal when it is withdrawn, too late, or the session ends", async () => {
  const reasons: unknown[] = [];
  const { clock, server, session, client } = await up(
    tool("wait", ANY, (_args, { signal }) => {
      signal.addEventListener("abort", () => reasons.push(signal.reason.code));
      return new Promise(() => {});
    }),
  );
  void session.callTool("wait");
  await clock.advance(100);
  session.cancelTool(session.openCalls[0] ?? "");
  await clock.advance(100);
  expect(reasons).toEqual(["invalid_state"]);
  session.requestTool("late", "wait", "{}", 500);
  await clock.advance(600);
  expect(reasons).toEqual(["invalid_state", "timeout"]);
  session.requestTool("last", "wait", "{}");
  await clock.advance(100);
  await clock.until(client.disconnect());
  expect(reasons).toHaveLength(3);
  session.release();
  expect(server.said("toolResult")).toEqual([]);
});

test("a request that comes again runs nothing again", async () => {
  let runs = 0;
  const { clock, server, session } = await up(
    tool("count", ANY, async (_args, call) => {
      runs += 1;
      call.progress("counting", 0.5);
      return runs;
    }),
  );
  session.requestTool("c1", "count", "{}");
  session.requestTool("c1", "count", "{}");
  await clock.advance(100);
  server.network.cut();
  session.requestTool("c1", "count", "{}");
  await clock.advance(1000);
  expect(runs).toBe(1);
  const results = server.said("toolResult").map(({ outcome }) => outcome.value);
  expect(new Set(results)).toEqual(new Set(["1"]));
  expect(server.said("toolProgress").map(({ noteJson }) => noteJson)).toEqual([
    '{"message":"counting","fraction":0.5}',
  ]);
});

test("a client's own call is marked in the conversation, with its progress", async () => {
  let finish = (_: string) => {};
  const { clock, client, session } = await up(
    tool("slow", ANY, (_args, call) => {
      call.progress("half way");
      return new Promise((resolve) => {
        finish = resolve;
      });
    }),
  );
  const outcome = session.callTool("slow");
  await clock.advance(50);
  const call = () => {
    const [turn] = client.conversation.get().turns;
    return turn?.role === "bot" ? turn.toolCalls[0] : undefined;
  };
  expect(call()).toMatchObject({ own: true, status: "running", progress: "half way" });
  finish("done");
  await clock.until(outcome);
  await clock.advance(50);
  expect(call()).toMatchObject({ status: "done", result: "done" });
});

test("names, schemas and numbers of tools are checked where they are given", () => {
  const make = (...tools: Tool[]) => createClient({ url: "/", media: false, tools });
  const one = tool("one", ANY, () => 1);
  expect(() => make(one, one)).toThrow(/taken/);
  expect(() => make(tool("1x", ANY, () => 1))).toThrow(/no name/);
  expect(() => tool("x", { type: "string" } as never, () => 1)).toThrow(/type object/);
  const bare = { "~standard": { version: 1, vendor: "other", validate: () => ({ value: 1 }) } };
  expect(() => tool("x", bare as never, () => 1)).toThrow(/other cannot tell/);
  const client = make();
  const remove = client.tool(one);
  remove();
  client.tool(one);
});
