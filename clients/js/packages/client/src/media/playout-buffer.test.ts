/** The playout buffer: positions never lie, nothing sounds twice, and it always gives a block. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Block, MAX_BUFFERED_MS, moves, PlayoutBuffer } from "./playout-buffer.js";

const RATE = 24_000;
/** 20 ms. */
const BLOCK = 480;
const ms = (durationMs: number) => (durationMs * RATE) / 1000;
const loud = (length: number, value = 1000) => new Int16Array(length).fill(value);
const make = (options: { targetMs?: number } = {}) =>
  new PlayoutBuffer({ sampleRate: RATE, ...options });
const kinds = (block: Block) => block.spans.map((span) => span.kind);
const all = (block: Block, value: number) => block.samples.every((sample) => sample === value);

function pullMs(buffer: PlayoutBuffer, durationMs: number): Block[] {
  return Array.from({ length: durationMs / 20 }, () => buffer.pull(BLOCK));
}

describe("starting and stopping", () => {
  it("gathers its target before it plays", () => {
    const buffer = make();
    buffer.push(0, loud(BLOCK));
    expect(kinds(buffer.pull(BLOCK))).toEqual(["silent"]);
    expect(buffer.position).toBe(0);
    buffer.push(BLOCK, loud(BLOCK));
    const block = buffer.pull(BLOCK);
    expect(kinds(block)).toEqual(["played"]);
    expect(all(block, 1000)).toBe(true);
    expect([block.position, buffer.position]).toEqual([BLOCK, BLOCK]);
  });

  it("plays what never fills the target once it has waited that long", () => {
    const buffer = make();
    buffer.push(0, loud(ms(10)));
    expect(pullMs(buffer, 40).map(kinds)).toEqual([["silent"], ["silent"]]);
    expect(kinds(buffer.pull(BLOCK))).toEqual(["played", "concealed"]);
  });

  it("takes up another stream where the one before really stopped", () => {
    const buffer = make();
    buffer.push(0, loud(ms(400)));
    pullMs(buffer, 100);
    buffer.restart({ targetMs: 20 });
    expect([buffer.position, buffer.bufferedMs]).toEqual([ms(100), 0]);
    expect(kinds(buffer.pull(BLOCK))).toEqual(["silent"]);
    buffer.push(ms(60), loud(ms(100), 2000));
    const block = buffer.pull(BLOCK);
    expect(all(block, 2000)).toBe(true);
    expect(block.position).toBe(ms(120));
    expect(buffer.underruns).toBe(0);
  });
});

describe("late audio", () => {
  it("is concealed once with a fade, then the position stands still", () => {
    const buffer = make();
    buffer.push(0, loud(ms(100)));
    pullMs(buffer, 100);
    const block = buffer.pull(BLOCK);
    expect(kinds(block)).toEqual(["concealed"]);
    expect(block.samples[0]).toBe(1000);
    expect(Math.abs(block.samples.at(-1) ?? 99)).toBeLessThan(10);
    const falls = block.samples.every((value, at) => value <= (block.samples[at - 1] ?? 1000));
    expect(falls).toBe(true);
    for (const silent of pullMs(buffer, 100)) {
      expect(kinds(silent)).toEqual(["silent"]);
      expect(all(silent, 0)).toBe(true);
    }
    expect(buffer.position).toBe(ms(100));
    expect([buffer.concealedMs, buffer.underruns]).toEqual([0, 0]); // it was the end, for all it knows
  });

  it("is concealed over the whole 20 ms however small the blocks are", () => {
    const buffer = make();
    buffer.push(0, loud(ms(100)));
    pullMs(buffer, 100);
    const pieces = Array.from({ length: 8 }, () => buffer.pull(64));
    const heard = pieces.flatMap((block) => [...block.samples]);
    expect(heard.filter((sample) => sample > 0).length).toBeGreaterThan(BLOCK - 5);
    expect(new Set(pieces.flatMap(kinds))).toEqual(new Set(["concealed", "silent"]));
  });

  it("is an underrun that makes the target grow to its limit", () => {
    const buffer = make();
    for (let position = 0; position < ms(2400); position += ms(200)) {
      buffer.push(position, loud(ms(200)));
      pullMs(buffer, 260);
    }
    expect(buffer.underruns).toBeGreaterThan(3);
    expect(buffer.targetMs).toBe(200);
    expect(buffer.concealedMs).toBe(20 * buffer.underruns);
  });

  it("is no underrun after a long pause", () => {
    const buffer = make();
    buffer.push(0, loud(ms(100)));
    pullMs(buffer, 700);
    buffer.push(ms(100), loud(ms(100)));
    expect([buffer.underruns, buffer.targetMs]).toEqual([0, 40]);
  });

  it("is forgiven when all goes well for a while", () => {
    const buffer = make();
    buffer.push(0, loud(ms(100)));
    pullMs(buffer, 140);
    buffer.push(ms(100), loud(ms(100)));
    expect(buffer.targetMs).toBeGreaterThan(40);
    for (let position = ms(200); position < ms(60_000); position += ms(100)) {
      buffer.push(position, loud(ms(100)));
      pullMs(buffer, 100);
    }
    expect(buffer.targetMs).toBe(40);
  });
});

describe("holes", () => {
  it("are silence on the clock between two buffered pieces", () => {
    const buffer = make();
    buffer.push(0, loud(ms(100)));
    buffer.push(ms(300), loud(ms(100)));
    const blocks = pullMs(buffer, 400);
    expect(blocks.map((block) => block.position)).toEqual(
      Array.from({ length: 20 }, (_, at) => BLOCK * (at + 1)),
    );
    expect(blocks[7]?.spans.map((span) => span.kind)).toEqual(["gap"]);
    expect(blocks.flatMap((block) => block.spans).every((span) => moves(span.kind))).toBe(true);
    expect([moves("silent"), moves("concealed")]).toEqual([false, false]);
  });

  it("are jumped over when they are long, or behind a dry buffer", () => {
    const buffer = make();
    buffer.push(0, loud(BLOCK * 2));
    buffer.push(ms(1000), loud(BLOCK * 2));
    pullMs(buffer, 40);
    expect(buffer.pull(BLOCK).spans[0]?.position).toBe(ms(1000));
    pullMs(buffer, 200);
    buffer.push(ms(1200), loud(BLOCK * 2));
    const block = buffer.pull(BLOCK);
    expect(kinds(block)).toEqual(["played"]);
    expect(block.spans[0]?.position).toBe(ms(1200));
  });
});

describe("a flush", () => {
  it("fades within 10 ms and voids what is buffered and what comes late", () => {
    const buffer = make();
    buffer.push(0, loud(ms(200)));
    pullMs(buffer, 40);
    expect(buffer.flush(ms(500))).toBe(ms(50));
    const block = buffer.pull(BLOCK);
    expect(kinds(block)).toEqual(["played", "silent"]);
    expect(block.spans.map((span) => span.length)).toEqual([ms(10), ms(10)]);
    expect(block.samples[0]).toBe(1000);
    expect(Math.abs(block.samples[ms(10) - 1] ?? 99)).toBeLessThan(10);
    expect(block.samples.subarray(ms(10)).every((sample) => sample === 0)).toBe(true);
    buffer.push(ms(40), loud(ms(480))); // the last 20 ms are valid
    expect(buffer.bufferedMs).toBe(20);
    expect(buffer.lateSamples).toBe(ms(460));
    expect(buffer.position).toBe(ms(50));
    pullMs(buffer, 40);
    expect(buffer.pull(BLOCK).spans[0]?.position).toBe(ms(500));
  });

  it("fades across pieces and blocks", () => {
    const buffer = make();
    for (let start = 0; start < ms(100); start += 48) buffer.push(start, loud(48));
    buffer.pull(BLOCK);
    expect(buffer.flush(ms(100))).toBe(ms(30));
    expect(kinds(buffer.pull(100))).toEqual(["played"]);
    expect(kinds(buffer.pull(200))).toEqual(["played", "silent"]);
    expect(buffer.flush(ms(100))).toBe(ms(30));
  });

  it("keeps what lies behind it", () => {
    const buffer = make();
    buffer.push(0, loud(ms(200)));
    buffer.push(ms(200), loud(ms(100), 2000));
    pullMs(buffer, 20);
    buffer.flush(ms(250));
    expect(buffer.bufferedMs).toBe(50);
    const block = buffer.pull(BLOCK);
    expect(block.spans.map((span) => span.position)).toEqual([ms(20), ms(250)]);
    expect(block.samples.subarray(ms(10)).every((sample) => sample === 2000)).toBe(true);
  });

  it("has no tail before the position, before anything played, or when dry", () => {
    const buffer = make();
    expect(buffer.flush(0)).toBe(0);
    buffer.push(0, loud(BLOCK));
    expect(buffer.flush(ms(10))).toBe(0);
    expect(buffer.bufferedMs).toBe(10);
    const dry = make();
    dry.push(0, loud(ms(100)));
    pullMs(dry, 100);
    expect([dry.flush(ms(50)), dry.flush(ms(200))]).toEqual([ms(100), ms(100)]);
  });
});

describe("odd input", () => {
  it("sounds once where it overlaps", () => {
    const buffer = make();
    buffer.push(BLOCK, loud(BLOCK, 2));
    buffer.push(BLOCK * 3, loud(BLOCK, 4));
    buffer.push(0, loud(BLOCK * 5, 9));
    buffer.push(0, loud(BLOCK * 5, 7));
    const values = Array.from({ length: 5 }, () => buffer.pull(BLOCK).samples[0]);
    expect(values).toEqual([9, 2, 9, 4, 9]);
  });

  it("is refused when absurdly far ahead or too much", () => {
    const buffer = make();
    buffer.push(2 ** 50, loud(BLOCK));
    for (let start = 0; start < ms(MAX_BUFFERED_MS + 1000); start += BLOCK) {
      buffer.push(start, loud(BLOCK));
    }
    expect(buffer.bufferedMs).toBe(MAX_BUFFERED_MS);
    expect(buffer.refusedSamples).toBe(BLOCK + ms(1000));
  });

  it("is nothing when empty", () => {
    const buffer = make();
    buffer.push(5, loud(0));
    expect([buffer.bufferedMs, buffer.lateSamples]).toEqual([0, 0]);
  });
});

it.each([8000, 16_000, 24_000, 48_000])("works at %i Hz", (rate) => {
  const buffer = new PlayoutBuffer({ sampleRate: rate });
  buffer.push(0, loud(rate));
  for (let count = 0; count < 50; count += 1) buffer.pull(rate / 50);
  expect(buffer.position).toBe(rate);
});

type Step =
  | { readonly what: "push"; readonly at: number; readonly length: number }
  | { readonly what: "pull"; readonly length: number }
  | { readonly what: "flush"; readonly until: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    what: fc.constant("push" as const),
    at: fc.nat(9600),
    length: fc.nat(1500),
  }),
  fc.record({ what: fc.constant("pull" as const), length: fc.integer({ min: 1, max: 960 }) }),
  fc.record({ what: fc.constant("flush" as const), until: fc.nat(9600) }),
);

/** The audio at position p has the value p % 30000 + 1, so that a wrong place shows. */
const TRACK = Int16Array.from({ length: 12_000 }, (_, at) => (at % 30_000) + 1);

function checkBlock(block: Block, stop: number): void {
  expect(block.spans.reduce((sum, span) => sum + span.length, 0)).toBe(block.samples.length);
  for (const { offset, length, position, kind } of block.spans) {
    const piece = block.samples.subarray(offset, offset + length);
    if (kind === "played" && position >= stop) {
      expect(piece).toEqual(TRACK.subarray(position, position + length));
    } else if (kind === "gap" || kind === "silent") {
      expect(piece.some((sample) => sample !== 0)).toBe(false);
    }
  }
}

it("plays every sample where it belongs, whatever happens", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const buffer = make();
      let before = 0;
      let stop = 0;
      for (const one of steps) {
        if (one.what === "push") {
          buffer.push(one.at, TRACK.slice(one.at, one.at + one.length));
        } else if (one.what === "flush") {
          stop = buffer.flush(one.until);
          expect(stop - before).toBeLessThanOrEqual(ms(10));
        } else {
          checkBlock(buffer.pull(one.length), stop);
        }
        expect(buffer.position).toBeGreaterThanOrEqual(before);
        expect(buffer.bufferedMs).toBeGreaterThanOrEqual(0);
        before = buffer.position;
      }
    }),
    { numRuns: 150 },
  );
});

it("stays bounded and in order with a sender that mostly behaves", () => {
  const act = fc.oneof(
    fc.record({ what: fc.constant("send"), count: fc.integer({ min: 1, max: 15 }) }),
    fc.record({ what: fc.constant("skip"), count: fc.integer({ min: 1, max: ms(900) }) }),
    fc.record({ what: fc.constant("play"), count: fc.integer({ min: 1, max: 15 }) }),
    fc.record({ what: fc.constant("cut"), count: fc.constant(0) }),
  );
  fc.assert(
    fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
      const buffer = make();
      let sent = 0;
      let position = 0;
      for (const { what, count } of acts) {
        if (what === "send") {
          for (let block = 0; block < count; block += 1, sent += BLOCK) {
            buffer.push(sent, loud(BLOCK));
          }
        } else if (what === "skip") {
          sent += count;
        } else if (what === "cut") {
          if (sent <= buffer.position) continue;
          position = buffer.flush(sent);
          expect(buffer.bufferedMs).toBe(0);
          const spans = [buffer.pull(BLOCK), buffer.pull(BLOCK)].flatMap((block) => block.spans);
          const after = spans.filter((span) => span.position + span.length > position);
          expect(after.every((span) => !moves(span.kind))).toBe(true);
        } else {
          const spans = Array.from({ length: count }, () => buffer.pull(BLOCK).spans).flat();
          for (const span of spans.filter(({ kind }) => kind === "played")) {
            expect(span.position).toBeGreaterThanOrEqual(position);
            position = span.position + span.length;
            expect(position).toBeLessThanOrEqual(sent);
          }
        }
        expect(buffer.bufferedMs).toBeLessThanOrEqual(MAX_BUFFERED_MS);
        expect(buffer.targetMs).toBeGreaterThanOrEqual(40);
        expect(buffer.targetMs).toBeLessThanOrEqual(200);
        expect(buffer.position).toBeLessThanOrEqual(Math.max(sent, position));
      }
    }),
    { numRuns: 100 },
  );
});
