import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readWav, TimelineWriter } from "./wav.js";

const folder = mkdtempSync(join(tmpdir(), "voxwire-wav-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string) => join(folder, name);

/** A WAV of a sine of 440 Hz at half of full scale. */
function sine(rate: number, channels: number, bits: number, tag: number): Buffer {
  const count = rate / 2;
  const width = bits / 8;
  const body = Buffer.alloc(count * channels * width);
  for (let index = 0; index < count * channels; index++) {
    const value = Math.sin((2 * Math.PI * 440 * Math.floor(index / channels)) / rate) / 2;
    const at = index * width;
    if (tag === 3) body.writeFloatLE(value, at);
    else if (bits === 8) body.writeUInt8(Math.round(value * 127) + 128, at);
    else body.writeIntLE(Math.round(value * (2 ** (bits - 1) - 1)), at, width);
  }
  const head = Buffer.alloc(44);
  head.write("RIFF");
  head.writeUInt32LE(36 + body.length, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(tag, 20);
  head.writeUInt16LE(channels, 22);
  head.writeUInt32LE(rate, 24);
  head.writeUInt16LE(bits, 34);
  head.write("data", 36);
  head.writeUInt32LE(body.length, 40);
  return Buffer.concat([head, body]);
}

test.each([
  [16_000, 1, 16, 1],
  [44_100, 2, 24, 1],
  [8000, 1, 8, 1],
  [48_000, 1, 32, 3],
  [22_050, 2, 32, 1],
])("%i Hz, %i channels, %i bits, format %i is read as 16 kHz mono", (rate, channels, bits, tag) => {
  const path = file(`${rate}-${bits}.wav`);
  writeFileSync(path, sine(rate, channels, bits, tag));
  const samples = readWav(path, 16_000);
  expect(samples.length).toBe(8000);
  const middle = samples.subarray(2000, 6000);
  const rms = Math.sqrt(middle.reduce((sum, one) => sum + one * one, 0) / middle.length);
  expect(rms / 32_768).toBeCloseTo(0.5 / Math.SQRT2, 2);
  const crossings = middle.filter((one, at) => at > 0 && one >= 0 && (middle[at - 1] ?? 0) < 0);
  expect(crossings.length).toBeGreaterThanOrEqual(109);
  expect(crossings.length).toBeLessThanOrEqual(111);
});

/** The tone, left-justified in samples of `width` bytes that say they have `bits`. */
function inWidth(bits: number, width: number): Buffer {
  const wav = sine(16_000, 1, 8 * width, 1);
  wav.writeUInt16LE(width, 32);
  wav.writeUInt16LE(bits, 34);
  return wav;
}

function sized(wav: Buffer, size: number, behind = ""): Buffer {
  wav.writeUInt32LE(size, 40);
  return Buffer.concat([wav, Buffer.from(behind)]);
}

test.each([
  ["12 bits in 16", inWidth(12, 2)],
  ["20 bits in 24", inWidth(20, 3)],
  ["24 bits in 32", inWidth(24, 4)],
  ["streamed, size 0", sized(sine(16_000, 1, 16, 1), 0)],
  ["streamed, size -1", sized(sine(16_000, 1, 16, 1), 0xffff_ffff)],
])("%s is the same sound", (_, wav) => {
  writeFileSync(file("a.wav"), wav);
  writeFileSync(file("b.wav"), sine(16_000, 1, 16, 1));
  const samples = readWav(file("a.wav"), 16_000);
  const same = readWav(file("b.wav"), 16_000);
  expect(samples.length).toBe(same.length);
  expect(samples.findIndex((one, at) => Math.abs(one - (same[at] ?? 0)) > 1)).toBe(-1);
});

test("an empty file with a chunk behind it has no sound", () => {
  writeFileSync(file("a.wav"), sized(sine(16_000, 1, 16, 1).subarray(0, 44), 0, "LIST\0\0\0\0"));
  expect(readWav(file("a.wav"), 16_000).length).toBe(0);
});

test("a timeline is whole at any moment", () => {
  const writer = new TimelineWriter(file("killed.wav"), 16_000);
  for (const at of [0, 400, 200]) {
    writer.write(at, new Int16Array(100).fill(7));
    const bytes = readFileSync(file("killed.wav"));
    expect(bytes.readUInt32LE(40)).toBe(bytes.length - 44);
    expect(bytes.readUInt32LE(4)).toBe(bytes.length - 8);
  }
  writer.close();
});

test("a timeline has samples at their positions and silence between them", () => {
  const path = file("timeline.wav");
  const writer = new TimelineWriter(path, 16_000);
  writer.write(100, Int16Array.of(1, 2, 3));
  writer.write(50, Int16Array.of(-4));
  writer.close();
  writer.close();
  writer.write(0, Int16Array.of(9));
  const samples = readWav(path, 16_000);
  expect(samples.length).toBe(103);
  expect([samples[0], samples[50], samples[100], samples[102]]).toEqual([0, -4, 1, 3]);
  expect(readFileSync(path).length).toBe(44 + 206);
});

test("what is no WAV file, or not there, is named", () => {
  expect(() => readWav(file("none.wav"), 16_000)).toThrow(/device: cannot read/);
  writeFileSync(file("bad.wav"), "RIFF....WAVE");
  expect(() => readWav(file("bad.wav"), 16_000)).toThrow(/unsupported_format: bad.wav: no format/);
  expect(() => new TimelineWriter(join(folder, "no/such/folder.wav"), 16_000)).toThrow(/device/);
});
