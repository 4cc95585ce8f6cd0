/** What to do about a server that lets nobody in, by what it says. Pure. */
import type { VoxwireError } from "@voxwire/protocol";

/** Full, or asked too often. */
export const BUSY = /^(capacity|rate_limited)$/;
const LATER = /^(capacity|rate_limited|going_away)$/;

const OF_TOKEN = "end one of this user's sessions, or get a token that allows more: max_sessions";
const FULL = "the operator can raise VOXWIRE_MAX_SESSIONS or add servers";
/** By its reason: the code is the same. */
const OF_CAPACITY: readonly (readonly [string, string])[] = [
  ["the server is too busy", "the operator can add servers, or a faster one"],
  ["this token allows no more sessions", OF_TOKEN],
  [
    "has used up the day's",
    "the operator can raise VOXWIRE_CAPS_PER_USER or VOXWIRE_CAPS_PER_BOT, or what tokens allow",
  ],
  [
    "who comes cannot be looked up",
    "the operator has to see what the authenticator says in the server's log",
  ],
  ["the server cannot decide just now", "the operator has to see why the servers' store is silent"],
];
const OF_CODE: { readonly [code: string]: string } = {
  invalid_argument: "name the bot: the option bot",
  forbidden: "name the bot that the token is for (the option bot), or get another token",
  version: "bring client and server to versions that go together",
  rate_limited:
    "the operator can raise VOXWIRE_STARTS_PER_ADDRESS or VOXWIRE_STARTS_PER_USER, whichever it" +
    " names",
  going_away: "the server is being stopped, or restarted",
};

/** What to do about a refusal; empty = it is about the token, or not known. */
export function adviceOn({ code, reason, retryAfterMs }: VoxwireError): string {
  let told = OF_CODE[code] ?? "";
  if (code === "capacity") {
    told = OF_CAPACITY.find(([words]) => reason.includes(words))?.[1] ?? FULL;
  }
  if (told === OF_TOKEN || !LATER.test(code)) return told;
  const when = retryAfterMs ? `in ${retryAfterMs / 1000} s` : "later";
  return `try again ${when}; ${told}`;
}
