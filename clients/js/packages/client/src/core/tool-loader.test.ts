/** Calls that come while what runs the tools is loaded, or cannot be. */
import { wire } from "@voxwire/protocol";
import { expect, test } from "vitest";
import { createClient } from "../create-client.js";
import { FakeServer, fakeMedia, VirtualTime } from "../testing/index.js";
import { tool } from "./tool.js";

/** A client whose modules come when the test lets them. */
async function up() {
  const clock = new VirtualTime();
  const server = new FakeServer({ clock });
  const loading: { load(): void; fail(): void }[] = [];
  const load = <T>(code: Promise<T>) =>
    new Promise<T>((resolve, reject) => {
      loading.push({
        load: () => resolve(clock.load(code)),
        fail: () => reject(new TypeError("Failed to fetch dynamically imported module")),
      });
    });
  const paid: string[] = [];
  const pay = tool("pay", { type: "object" }, (_, call) => {
    paid.push(call.id);
    return { ok: true };
  });
  const client = createClient({
    url: "/",
    environment: { ...server.environment, load },
    media: () => fakeMedia({ clock, carriers: ["websocket"] }),
    tools: [pay],
  });
  await clock.until(client.connect());
  /** Ends every load that was begun. */
  const settle = async (how: "load" | "fail") => {
    for (const one of loading.splice(0)) one[how]();
    await clock.advance(50);
  };
  return { clock, server, session: server.session, paid, settle };
}

test("a call is answered when what runs it cannot be loaded, and does not run later", async () => {
  const { clock, server, session, paid, settle } = await up();
  await settle("fail");
  session.requestTool("c1", "pay", "{}", 2000);
  await clock.advance(10);
  await settle("fail");
  expect(server.said("toolResult")).toMatchObject([
    {
      callId: "c1",
      callToken: new Uint8Array([7, 7]),
      outcome: { case: "error", value: { code: wire.ErrorCode.TOOL_FAILED, subjectId: "c1" } },
    },
  ]);
  session.requestTool("c2", "pay", "{}", 2000);
  await clock.advance(10);
  await settle("load");
  expect(paid).toEqual(["c2"]);
  expect(server.said("toolResult").map(({ callId }) => callId)).toEqual(["c1", "c2"]);
});

test("a call that was withdrawn meanwhile is neither answered nor run", async () => {
  const { clock, server, session, paid, settle } = await up();
  session.requestTool("c1", "pay", "{}");
  session.cancelTool("c1");
  await clock.advance(10);
  await settle("fail");
  session.requestTool("c2", "pay", "{}");
  session.cancelTool("c2");
  await clock.advance(10);
  await settle("load");
  expect([paid, server.said("toolResult")]).toEqual([[], []]);
});

test("a call whose time is over when its tool could run does not", async () => {
  const { clock, session, server, paid, settle } = await up();
  session.requestTool("c1", "pay", "{}", 2000);
  session.requestTool("c2", "pay", "{}", 5000);
  await clock.advance(3000);
  await settle("load");
  expect(paid).toEqual(["c2"]);
  expect(server.said("toolAccepted").map(({ callId }) => callId)).toEqual(["c2"]);
});
