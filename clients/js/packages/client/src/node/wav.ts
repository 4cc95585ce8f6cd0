/** WAV files: read any rate and width, write a timeline with holes. */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { basename } from "node:path";
import { makeError } from "@voxwire/protocol";
import { Resampler } from "../media/resampler.js";

const HEADER_BYTES = 44;
const PCM = 1;
const FLOAT = 3;
const EXTENSIBLE = 0xfffe;
const MAX_SAMPLES = Math.floor((2 ** 32 - 1 - HEADER_BYTES) / 2);

interface Format {
  readonly tag: number;
  readonly channels: number;
  readonly rate: number;
  /** Bytes of one sample: 12 bits are in 2 of them, 20 in 3, 24 in 3 or 4. */
  readonly width: number;
}

/** What may stand behind audio whose program did not know its size. */
const BEHIND = ["LIST", "fact", "cue ", "id3 ", "ID3 ", "bext", "smpl", "JUNK", "PEAK"];

/** Reads a WAV file (PCM of 8 to 32 bits or float) as mono int16 at `sampleRate` Hz. Throws
 * "device" when it cannot be opened, "unsupported_format" when it cannot be read. */
export function readWav(path: string, sampleRate: number): Int16Array {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw makeError("device", `cannot read ${path}`, { cause });
  }
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const unusable = (what: string) => makeError("unsupported_format", `${basename(path)}: ${what}`);
  if (bytes.length < 12 || text(data, 0) !== "RIFF" || text(data, 8) !== "WAVE") {
    throw unusable("not a WAV file (RIFF/WAVE)");
  }
  const head = chunk(data, "fmt ");
  const body = chunk(data, "data");
  if (!head || head.byteLength < 16 || !body) throw unusable("no format or no data in it");
  const format = formatOf(head);
  if (!format.channels || format.rate < 1000 || format.rate > 768_000) {
    throw unusable("the header makes no sense");
  }
  const decode = decoder(format);
  if (!decode) throw unusable(`format ${format.tag} of ${format.width} bytes is not read`);
  return resampled(mono(body, format, decode), format.rate, sampleRate);
}

function text(data: DataView, at: number): string {
  return String.fromCharCode(...[0, 1, 2, 3].map((index) => data.getUint8(at + index)));
}

/** A size beyond the end means "to the end", as that of audio does which is 0 (a streamed file). */
function chunk(data: DataView, name: string): DataView | undefined {
  for (let at = 12; at + 8 <= data.byteLength; ) {
    const size = data.getUint32(at + 4, true);
    const left = data.byteLength - at - 8;
    if (text(data, at) === name) {
      const streamed = name === "data" && size === 0 && left >= 4;
      const here = streamed && !BEHIND.includes(text(data, at + 8)) ? left : Math.min(size, left);
      return new DataView(data.buffer, data.byteOffset + at + 8, here);
    }
    at += 8 + size + (size % 2);
  }
  return undefined;
}

function formatOf(head: DataView): Format {
  const tag = head.getUint16(0, true);
  const channels = head.getUint16(2, true);
  const least = Math.ceil(head.getUint16(14, true) / 8);
  const width = head.getUint16(12, true) / channels;
  return {
    tag: tag === EXTENSIBLE && head.byteLength >= 26 ? head.getUint16(24, true) : tag,
    channels,
    rate: head.getUint32(4, true),
    width: Number.isInteger(width) && width >= least && width > 0 ? width : least,
  };
}

type Decode = (data: DataView, at: number) => number;

function decoder({ tag, width }: Format): Decode | undefined {
  if (tag === FLOAT && width === 4) return (data, at) => data.getFloat32(at, true);
  if (tag === FLOAT && width === 8) return (data, at) => data.getFloat64(at, true);
  if (tag !== PCM) return undefined;
  if (width === 1) return (data, at) => (data.getUint8(at) - 128) / 128;
  if (width === 2) return (data, at) => data.getInt16(at, true) / 2 ** 15;
  if (width === 3) {
    return (data, at) => (data.getUint16(at, true) + data.getInt8(at + 2) * 65_536) / 2 ** 23;
  }
  if (width === 4) return (data, at) => data.getInt32(at, true) / 2 ** 31;
  return undefined;
}

function mono(body: DataView, { channels, width }: Format, decode: Decode): Float32Array {
  const samples = new Float32Array(Math.floor(body.byteLength / (width * channels)));
  for (const index of samples.keys()) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++) {
      sum += decode(body, (index * channels + channel) * width);
    }
    samples[index] = sum / channels;
  }
  return samples;
}

function resampled(samples: Float32Array, from: number, to: number): Int16Array {
  let floats = samples;
  if (from !== to) {
    const resampler = new Resampler(from, to);
    floats = new Float32Array(Math.floor((samples.length * to) / from));
    resampler.push(samples);
    resampler.push(new Float32Array(Math.max(0, resampler.needs(floats.length))));
    resampler.pull(floats);
  }
  return Int16Array.from(floats, (value) =>
    Math.max(-32_768, Math.min(32_767, Math.round(value * 32_767))),
  );
}

/**
 * A 16-bit mono WAV file that is written by position; what is not written is silence. The header
 * counts what has been written as soon as it has: a program that is killed leaves a whole file.
 */
export class TimelineWriter {
  readonly #file: number;
  #end = 0;
  #closed = false;

  /** Creates (or replaces) the file; throws "device" when it cannot. */
  constructor(
    path: string,
    private readonly sampleRate: number,
  ) {
    try {
      this.#file = openSync(path, "w");
    } catch (cause) {
      throw makeError("device", `cannot write ${path}`, { cause });
    }
    this.#writeHeader();
  }

  /** Writes samples at a position (in samples); what lies beyond 4 GB is left out. */
  write(position: number, samples: Int16Array): void {
    if (this.#closed || position + samples.length > MAX_SAMPLES) return;
    const bytes = new DataView(new ArrayBuffer(samples.length * 2));
    for (const [index, sample] of samples.entries()) bytes.setInt16(index * 2, sample, true);
    writeSync(this.#file, bytes, 0, bytes.byteLength, HEADER_BYTES + 2 * position);
    if (position + samples.length <= this.#end) return;
    this.#end = position + samples.length;
    this.#writeHeader();
  }

  /** Closes the file; may be called again. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#file);
  }

  #writeHeader(): void {
    const size = 2 * this.#end;
    const head = new DataView(new ArrayBuffer(HEADER_BYTES));
    const name = (at: number, value: string) => {
      for (const [index, letter] of [...value].entries()) {
        head.setUint8(at + index, letter.charCodeAt(0));
      }
    };
    name(0, "RIFF");
    head.setUint32(4, 36 + size, true);
    name(8, "WAVEfmt ");
    head.setUint32(16, 16, true);
    head.setUint16(20, PCM, true);
    head.setUint16(22, 1, true);
    head.setUint32(24, this.sampleRate, true);
    head.setUint32(28, 2 * this.sampleRate, true);
    head.setUint16(32, 2, true);
    head.setUint16(34, 16, true);
    name(36, "data");
    head.setUint32(40, size, true);
    writeSync(this.#file, head, 0, HEADER_BYTES, 0);
  }
}
