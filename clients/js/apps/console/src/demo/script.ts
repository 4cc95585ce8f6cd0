import type { DemoClient } from "./demo-client.js";

const STORY =
  "Once upon a time, in a harbour town where the fog came in every evening, an old keeper climbed " +
  "the stairs of the lighthouse with a lamp that had never gone out in forty years.";

/** A conversation that plays by itself; `?hold=SCENE` stops it there. */
export async function play(client: DemoClient): Promise<void> {
  await client.wait(500);
  await client.say("Hello, I am the concierge. Ask me about the weather, or for a story.");
  await client.wait(900);

  await client.hear("what is the weather in Paris", "listening");
  await client.think(240);
  await client.use("get_weather", { city: "Paris" }, { condition: "sunny", high_c: 18, low_c: 11 });
  client.metrics({ vadMs: 212, sttMs: 64, turnMs: 31, llmMs: 148, toolMs: 405, ttsMs: 96 });
  await client.say(
    "In Paris it is sunny today, 18 degrees at most, with a light wind from the west.",
    "speaking",
  );
  await client.wait(1200);

  await client.hear("tell me a long story");
  await client.think(180);
  client.metrics({ vadMs: 205, sttMs: 58, turnMs: 28, llmMs: 121, toolMs: undefined, ttsMs: 84 });
  await client.sayUntilCut(STORY, 11);
  await client.hear("thank you, that is enough", "interrupted");
  await client.think(150);
  client.metrics({ vadMs: 201, sttMs: 71, turnMs: 30, llmMs: 96, toolMs: undefined, ttsMs: 77 });
  await client.say("You are welcome.");
  await client.wait(700);
  await client.lose("reconnecting");
  await client.say("I am still here.");
}
