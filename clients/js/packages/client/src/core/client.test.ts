import { expect, test } from "vitest";
import { createClient } from "../create-client.js";
import { FakeServer, fakeMedia, VirtualTime } from "../testing/index.js";

test("a conversation over the loopback, in virtual time", async () => {
  const clock = new VirtualTime();
  const server = new FakeServer({
    clock,
    bot: {
      onText: async (text, session) => {
        session.transcript(text);
        await session.say("you said that");
      },
      onRequest: (method, payload) => ({ method, payload }),
    },
  });
  const media = fakeMedia({ clock });
  const client = createClient({
    url: "/",
    environment: server.environment,
    media: () => media,
  });
  const words: string[] = [];
  client.on("botWord", ({ text }) => words.push(text));
  await clock.until(client.connect());
  expect(client.status.get()).toMatchObject({ status: "ready", bot: "scripted" });
  await client.sendText("hello");
  await clock.advance(3000);
  expect(words).toEqual(["you", "said", "that"]);
  expect(client.conversation.get().turns).toMatchObject([
    { role: "user", text: "hello" },
    { role: "bot", utterances: [{ text: "you said that", end: "completed" }] },
  ]);
  expect(await clock.until(client.call("ping", { a: 1 }))).toEqual({
    method: "ping",
    payload: { a: 1 },
  });
  await clock.until(client.disconnect());
  expect(client.status.get()).toEqual({ status: "closed", reason: "client" });
  expect({ timers: clock.pending, sockets: server.network.open.size }).toEqual({
    timers: 0,
    sockets: 0,
  });
});
