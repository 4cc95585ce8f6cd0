/** What the compiler must accept and refuse; `types.test.ts` compiles it. */
import * as z from "zod";
import { dailyMedia } from "../src/daily/index.js";
import {
  type CallOptions,
  type Client,
  type ClientOptions,
  type ConnectOptions,
  createClient,
  type Feature,
  type LoggedTurn,
  type MediaOptions,
  type SendTextOptions,
  type Tool,
  type ToolOptions,
  tool,
  VoxwireError,
} from "../src/index.js";
import type { WavMediaOptions } from "../src/node/index.js";
import { type PipecatBotOptions, pipecatBot } from "../src/rtvi/index.js";
import type { FakeMediaOptions, FakeServerOptions, SayOptions } from "../src/testing/index.js";

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_: Equal<A, B>): void {}

const client: Client = createClient({ url: "/" });

client.on("botWord", (event) => {
  same<typeof event.text, string>(true);
  same<typeof event.startMs, number>(true);
  // @ts-expect-error a word has no such field
  event.start_ms;
});
// @ts-expect-error there is no such event
client.on("bot_word", () => {});
// @ts-expect-error the handler gets a transcript, not a word
client.on("userTranscript", (event: { index: number }) => event);

const unsubscribe = client.on("status", (status) => {
  if (status.status === "reconnecting") same<typeof status.attempt, number>(true);
  // @ts-expect-error only a session that is up has a name
  status.sessionId;
  switch (status.status) {
    case "idle":
    case "connecting":
    case "ready":
    case "reconnecting":
    case "closing":
    case "closed":
      return;
    default:
      same<typeof status, never>(true);
  }
});
same<typeof unsubscribe, () => void>(true);

async function all(): Promise<void> {
  for await (const { type, event } of client.events()) {
    if (type === "toolCallEnded") same<typeof event.durationMs, number>(true);
  }
  const ended = await client.once("sessionEnded");
  same<typeof ended.durationMs, number>(true);
  try {
    await client.connect({ timeoutMs: 1000, signal: AbortSignal.timeout(500) });
  } catch (error) {
    // @ts-expect-error codes are a closed list
    if (error instanceof VoxwireError && error.code === "no_such_code") return;
    if (error instanceof VoxwireError && error.code === "unauthorized") return;
  }
  // @ts-expect-error functions are no JSON
  await client.call("method", { fn: () => 1 });
}
void all;

// Arguments of a tool: those of the schema, converted.
const city = z.object({ city: z.string(), days: z.coerce.number().default(1) });
tool("weather", city, (args, call) => {
  same<typeof args, { city: string; days: number }>(true);
  same<typeof call.signal, AbortSignal>(true);
});
tool("typed", { type: "object" }, (args: { city: string }) => args.city);
// @ts-expect-error arguments are an object
tool("bad", { type: "string" }, () => 1);
// @ts-expect-error a schema is needed
tool("bad", undefined, () => 1);

// The log: one kind of turn after a look at its role.
function words(turn: LoggedTurn): number {
  if (turn.role === "user") return turn.text.length;
  // @ts-expect-error the log is to be read only
  turn.utterances.push();
  return turn.utterances.flatMap((utterance) => utterance.words).length;
}
void words;

createClient({ url: "/", peer: pipecatBot({ start: { createDailyRoom: false } }) });
createClient({ url: "/", transport: "daily", media: dailyMedia({ echoCancellation: true }) });
// @ts-expect-error functions are no JSON
pipecatBot({ start: { warm: () => 1 } });
same<ReturnType<typeof client.features.get>, ReadonlySet<Feature>>(true);

// @ts-expect-error the server is needed
createClient({});
// @ts-expect-error there is no such transport
createClient({ url: "/", transport: "carrier pigeon" });
// @ts-expect-error status is told, not set
client.status = createClient({ url: "/" }).status;

// Every option may be undefined, as what a program looks up often is (exactOptionalPropertyTypes).
type Optional<T> = { [K in keyof T]-?: object extends Pick<T, K> ? K : never }[keyof T];
type Refused<T> = {
  [K in Optional<T>]: { [P in K]: undefined } extends Pick<T, K> ? never : K;
}[Optional<T>];
same<Refused<ClientOptions>, never>(true);
same<Refused<NonNullable<ClientOptions["environment"]>>, never>(true);
same<Refused<MediaOptions>, never>(true);
same<Refused<ConnectOptions>, never>(true);
same<Refused<SendTextOptions>, never>(true);
same<Refused<CallOptions>, never>(true);
same<Refused<Tool>, never>(true);
same<Refused<ToolOptions>, never>(true);
same<Refused<WavMediaOptions>, never>(true);
same<Refused<PipecatBotOptions>, never>(true);
same<Refused<FakeMediaOptions>, never>(true);
same<Refused<FakeServerOptions>, never>(true);
same<Refused<SayOptions>, never>(true);
same<Refused<{ a?: 1; b?: 1 | undefined; c: 1 }>, "a">(true); // the test itself can fail
