import { createClient } from "@voxwire/client";
import { pipecatBot } from "@voxwire/client/rtvi";
import { FakeServer, fakeMedia, VirtualTime } from "@voxwire/client/testing";

test("the bot repeats what was typed", async () => {
  const clock = new VirtualTime();
  const bot = { onText: (text, session) => session.say(`you said ${text}`) };
  const server = new FakeServer({ clock, bot });
  const media = fakeMedia({ clock, carriers: ["websocket"] });
  const { environment } = server;
  const client = createClient({ url: "/", environment, media: () => media });
  await clock.until(client.connect());
  await client.sendText("hello");
  await clock.advance(3000);
  const [turn] = client.conversation.get().turns;
  expect(turn.utterances[0]).toMatchObject({ text: "you said hello", end: "completed" });
  await clock.until(client.disconnect());
});

test("a stock bot is another peer", () => {
  const client = createClient({ url: "http://127.0.0.1:7860", peer: pipecatBot(), media: false });
  expect([...client.features.get()]).toEqual([]);
});
