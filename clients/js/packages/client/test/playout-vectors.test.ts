/** The golden cases of protocol/vectors/playout hold for the playout buffer. */
import { expect, test } from "vitest";
import { readVectors } from "../../protocol/test/read-vectors.js";
import { type Block, moves, PlayoutBuffer } from "../src/media/playout-buffer.js";

type Span = readonly [kind: string, position: number, length: number];

type Step =
  | { op: "push"; index: number; samples: number; quiet: boolean }
  | { op: "pull"; samples: number; spans: readonly Span[] }
  | { op: "flush"; until: number; position: number }
  | { op: "restart"; target_ms: number }
  | { op: "rewind" }
  | {
      op: "state";
      position: number;
      playing: boolean;
      target_ms: number;
      buffered_ms: number;
      concealed_ms: number;
      underruns: number;
      late: number;
      refused: number;
      trimmed: number;
    };

interface Script {
  readonly options: {
    readonly sample_rate: number;
    readonly target_ms: number;
    readonly max_target_ms: number;
    readonly continuous: boolean;
  };
  readonly steps: readonly Step[];
}

/** What a script tells apart and the buffer does not. */
const SAME: Readonly<Record<string, string>> = { quiet: "played", fading: "played" };

/** Loud audio of which every sample tells its position. */
const numbered = (position: number) => 1000 + (position % 1000);

const AUDIBLE: Readonly<Record<string, (sample: number, position: number) => boolean>> = {
  played: (sample, position) => sample === numbered(position),
  fading: (sample, position) => sample > 0 && sample <= numbered(position),
  concealed: (sample) => sample > 0,
  quiet: (sample) => sample === 0,
  gap: (sample) => sample === 0,
  silent: (sample) => sample === 0,
};

/** Each sample is of the kind, at the position, and sounds as it should. */
function check(block: Block, spans: readonly Span[]): void {
  const got = block.spans.flatMap(({ kind, position, length }) =>
    Array.from({ length }, (_, at) => [kind, position + (moves(kind) ? at : 0)]),
  );
  const wanted = spans.flatMap(([kind, position, length]) => {
    const still = kind === "concealed" || kind === "silent";
    return Array.from({ length }, (_, at) => [kind, position + (still ? 0 : at)] as const);
  });
  expect(got).toEqual(wanted.map(([kind, position]) => [SAME[kind] ?? kind, position]));
  for (const [at, [kind, position]] of wanted.entries()) {
    expect(AUDIBLE[kind]?.(block.samples[at] ?? Number.NaN, position), `sample ${at}`).toBe(true);
  }
}

function perform(buffer: PlayoutBuffer, step: Step): void {
  switch (step.op) {
    case "push": {
      const one = (_: unknown, at: number) => (step.quiet ? 0 : numbered(step.index + at));
      buffer.push(step.index, Int16Array.from({ length: step.samples }, one));
      return;
    }
    case "pull":
      check(buffer.pull(step.samples), step.spans);
      return;
    case "flush":
      expect(buffer.flush(step.until)).toBe(step.position);
      return;
    case "restart":
      buffer.restart({ targetMs: step.target_ms });
      return;
    case "state":
      expect({
        op: "state",
        position: buffer.position,
        playing: buffer.playing,
        target_ms: buffer.targetMs,
        buffered_ms: buffer.bufferedMs,
        concealed_ms: buffer.concealedMs,
        underruns: buffer.underruns,
        late: buffer.lateSamples,
        refused: buffer.refusedSamples,
        trimmed: 0,
      }).toEqual(step);
      return;
    default:
      throw new Error(`no such step: ${step.op}`);
  }
}

// What only decoded RTP needs: here a browser decodes it, and plays it itself.
const SCRIPTS = readVectors<Script>("playout").filter(([, { options }]) => !options.continuous);

test("no case but those of a continuous stream is left out", () => {
  const others = readVectors<Script>("playout").filter(([, { options }]) => options.continuous);
  expect(others.every(([name]) => name.startsWith("continuous-"))).toBe(true);
  expect(SCRIPTS.length).toBeGreaterThanOrEqual(17);
});

test.each(SCRIPTS)("%s", (_, { options, steps }) => {
  const { sample_rate: sampleRate, target_ms: targetMs, max_target_ms: maxTargetMs } = options;
  const buffer = new PlayoutBuffer({ sampleRate, targetMs, maxTargetMs });
  for (const [at, step] of steps.entries()) {
    try {
      perform(buffer, step);
    } catch (cause) {
      throw new Error(`step ${at}: ${JSON.stringify(step)}`, { cause });
    }
  }
});
