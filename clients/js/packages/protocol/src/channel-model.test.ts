/** Two channels over carriers that drop, repeat, reorder and break lose nothing unsaid. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { app, client, names, server } from "../test/support.js";
import { ChannelError } from "./channel.js";
import * as wire from "./wire.js";

type Way = 0 | 1;
const WAYS = [0, 1] as const;

function pair<T>(make: (way: Way) => T): [T, T] {
  return [make(0), make(1)];
}

/** The two sides, what flies between them, and what was sent and delivered each way. */
class TwoSides {
  readonly sides = pair((way) =>
    (way === 0 ? client : server)({
      maxSendBytes: 200,
      maxReceiveBytes: 200,
      limits: { messages: 6, totalBytes: 900, ageMs: 3000 },
    }),
  );
  flying = pair<Uint8Array[]>(() => []);
  sent = pair<string[]>(() => []);
  got = pair<string[]>(() => []);
  nowMs = 0;
  count = 0;
  seen = { resumed: 0, restarted: 0, refused: 0, delivered: 0 };

  send(way: Way, size: number): void {
    this.count += 1;
    const name = `${this.count}:${"x".repeat(size)}`;
    this.sent[way].push(name);
    this.flying[way].push(...this.sides[way].send(app(name), this.nowMs));
  }

  sendLossy(way: Way): void {
    const ping = wire.envelope({ case: "ping", value: { number: 1 } });
    this.flying[way].push(...this.sides[way].send(ping, this.nowMs));
  }

  tick(way: Way, passedMs: number): void {
    this.nowMs += passedMs;
    const dueMs = this.sides[way].nextDueMs;
    const written = this.sides[way].outgoing(this.nowMs);
    expect(written.length > 0).toBe(dueMs !== undefined && dueMs <= this.nowMs);
    this.flying[way].push(...written);
  }

  carry(way: Way, choice: number, repeat: boolean, drop: boolean): void {
    const flying = this.flying[way];
    const at = choice % Math.max(1, Math.min(flying.length, 4));
    const piece = repeat ? flying[at] : flying.splice(at, 1)[0];
    if (piece !== undefined && !drop) this.deliver(way, piece);
  }

  reconnect(keepOld: boolean): void {
    for (const side of this.sides) side.onLost(this.nowMs);
    const replays = pair((way) =>
      this.sides[way].resume(this.sides[way ? 0 : 1].lastReceived, this.nowMs),
    );
    if (replays.includes(undefined)) {
      this.restart();
      return;
    }
    this.seen.resumed += 1;
    for (const way of WAYS) {
      if (!keepOld) this.flying[way] = [];
      this.flying[way].push(...(replays[way] ?? []));
    }
  }

  /** After a resume over a sound carrier nothing is missing. */
  settle(): void {
    this.reconnect(false);
    for (const way of WAYS) {
      for (const piece of this.flying[way].splice(0)) this.deliver(way, piece);
    }
    expect(this.got).toEqual(this.sent);
    for (const way of WAYS) {
      expect(this.sides[way].lastSent).toBe(this.sides[way ? 0 : 1].lastReceived);
    }
  }

  /** Nothing twice, order kept: delivered is a prefix of sent. */
  check(): void {
    for (const way of WAYS) {
      const { unacknowledged, lastSent } = this.sides[way];
      const wrong = this.got[way].findIndex((name, at) => name !== this.sent[way][at]);
      if (wrong >= 0) throw new Error(`way ${way}: message ${wrong} is not the one that was sent`);
      if (unacknowledged < 0 || unacknowledged > lastSent) throw new Error("impossible count");
    }
  }

  /** Both sides were told that something is lost: a snapshot would take its place. */
  private restart(): void {
    this.seen.restarted += 1;
    for (const side of this.sides) side.restart();
    this.flying = pair(() => []);
    this.sent = pair(() => []);
    this.got = pair(() => []);
  }

  private deliver(way: Way, data: Uint8Array): void {
    const side = this.sides[way ? 0 : 1];
    const before = side.lastReceived;
    try {
      const messages = side.receive(data, this.nowMs);
      const numbered = messages.filter(({ payload }) => payload.case === "appMessage");
      this.seen.delivered += numbered.length;
      this.got[way].push(...names(numbered).map(String));
    } catch (error) {
      // Too far ahead of a gap: the replay brings it again.
      const tooFar = error instanceof ChannelError && error.code === "unexpected_message";
      if (!tooFar || error.seq <= before + 1) throw error;
      this.seen.refused += 1;
    }
  }
}

type Step = fc.Command<object, TwoSides>;

const step = (name: string, run: (real: TwoSides) => void): Step => ({
  check: () => true,
  run: (_, real) => {
    run(real);
    real.check();
  },
  toString: () => name,
});

const way = fc.constantFrom(...WAYS);
const send = fc
  .tuple(way, fc.constantFrom(0, 10, 150, 400))
  .map(([to, size]) => step(`send(${to}, ${size})`, (real) => real.send(to, size)));
const carry = fc
  .tuple(way, fc.nat({ max: 3 }), fc.boolean(), fc.boolean())
  .map(([to, at, repeat, drop]) =>
    step(`carry(${to}, ${at}, ${repeat}, ${drop})`, (real) => real.carry(to, at, repeat, drop)),
  );
const steps = [
  // Often enough that something waits when a carrier breaks, and that limits are reached.
  ...Array<typeof send>(8).fill(send),
  ...Array<typeof carry>(10).fill(carry),
  way.map((to) => step(`sendLossy(${to})`, (real) => real.sendLossy(to))),
  fc
    .tuple(way, fc.constantFrom(0, 50, 300, 2000))
    .map(([to, ms]) => step(`tick(${to}, ${ms})`, (real) => real.tick(to, ms))),
  fc.boolean().map((keepOld) => step(`reconnect(${keepOld})`, (real) => real.reconnect(keepOld))),
  fc.constant(step("settle()", (real) => real.settle())),
];

test("nothing is lost unsaid, nothing comes twice, order is kept", () => {
  const total = { resumed: 0, restarted: 0, refused: 0, delivered: 0 };
  fc.assert(
    fc.property(fc.commands(steps, { maxCommands: 80, size: "max" }), (commands) => {
      const real = new TwoSides();
      fc.modelRun(() => ({ model: {}, real }), commands);
      real.settle();
      for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += real.seen[key];
    }),
    { numRuns: 300 },
  );
  // The runs went where it matters.
  for (const count of Object.values(total)) expect(count).toBeGreaterThan(0);
});
