/**
 * The files of a client whose bot is a stock one: many envelopes in, one `send-file` out.
 *
 * It stands where a server takes files (protocol/spec/files.md). Whoever carries the messages of a
 * `StockBot` hands `fileBegin`, `filePiece` and `fileCancel` to `BotFiles.take`, sends what comes of
 * them, and tells the client its envelopes.
 */
import { envelope } from "../envelope.js";
import { VoxwireError } from "../errors.js";
import { utf8Length } from "../json-text.js";
import {
  create,
  type Envelope,
  ErrorCode,
  type FileAcceptance,
  FileAcceptanceSchema,
  type FileBegin,
  type FilePiece,
} from "../messages.js";
import type { BotRequests } from "./bot-requests.js";
import { encode, type RtviMessage } from "./message.js";
import { isAtLeast, RTVI_VERSION, type Version } from "./version.js";

declare const btoa: (binary: string) => string;

/** Of a message, beside the bytes of the file in base64. */
const SPARE_BYTES = 1536;
const MAX_OPEN = 4;
const BLOCK_BYTES = 3 * 4096;

/** What comes of one envelope. */
export interface FileStep {
  /** What the bot is sent; undefined = nothing yet. */
  readonly message?: RtviMessage;
  /** What the client is told. */
  readonly told: readonly Envelope[];
}

interface Arriving {
  readonly begin: FileBegin;
  readonly data: Uint8Array;
  offset: number;
}

/** Puts the pieces of files together, at most four at a time. */
export class BotFiles {
  readonly #requests: BotRequests;
  readonly #maxMessageBytes: number;
  readonly #open = new Map<string, Arriving>();

  /**
   * @param requests - Writes what the bot is asked.
   * @param maxMessageBytes - Largest message that the carrier takes; 0 = no files.
   */
  constructor(requests: BotRequests, maxMessageBytes: number) {
    this.#requests = requests;
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** What a bot of that version takes, as `Welcome.accepts` says it; undefined = no files. A stock
   * bot does not say which types it takes. */
  acceptance(version: Version = RTVI_VERSION): FileAcceptance | undefined {
    const maxBytes = Math.floor((Math.max(0, this.#maxMessageBytes - SPARE_BYTES) * 3) / 4);
    if (!maxBytes || !isAtLeast(version, 2, 2)) return undefined;
    return create(FileAcceptanceSchema, { types: ["*/*"], maxBytes });
  }

  /** Takes `fileBegin`, `filePiece` or `fileCancel`; of any other nothing comes.
   *
   * @param version - What the bot speaks; undefined = not known. */
  take({ payload }: Envelope, version?: Version): FileStep {
    switch (payload.case) {
      case "fileBegin":
        return this.#begin(payload.value, this.acceptance(version));
      case "filePiece":
        return this.#piece(payload.value, version);
      case "fileCancel":
        this.#open.delete(payload.value.fileId);
    }
    return { told: [] };
  }

  #begin(begin: FileBegin, accepts: FileAcceptance | undefined): FileStep {
    const { fileId, size } = begin;
    if (!accepts) return over(fileId, ErrorCode.UNSUPPORTED, "this bot takes no files");
    if (size > accepts.maxBytes) {
      const reason = `a message to this bot holds at most ${accepts.maxBytes} bytes of a file`;
      return over(fileId, ErrorCode.TOO_LARGE, reason);
    }
    const known = this.#open.get(fileId);
    if (!known && this.#open.size >= MAX_OPEN) {
      return over(fileId, ErrorCode.RATE_LIMITED, "too many files at once");
    }
    const file = known ?? { begin, data: new Uint8Array(size), offset: 0 };
    this.#open.set(fileId, file);
    const value = { fileId, offset: file.offset, limit: size };
    return { told: [envelope({ case: "fileTaken", value })] };
  }

  #piece({ fileId, offset, data }: FilePiece, version: Version | undefined): FileStep {
    const file = this.#open.get(fileId);
    const end = offset + data.length;
    if (!file || offset !== file.offset || !data.length || end > file.data.length) {
      this.#open.delete(fileId);
      return over(fileId, ErrorCode.MALFORMED, "a piece does not fit");
    }
    file.data.set(data, offset);
    file.offset = end;
    if (end < file.data.length) return { told: [] };
    this.#open.delete(fileId);
    return this.#whole(file, version);
  }

  #whole({ begin, data }: Arriving, version: Version | undefined): FileStep {
    const { fileId, type: mediaType, name, text, runImmediately, audioResponse } = begin;
    const file = { mediaType, name, base64: base64(data), runImmediately, audioResponse };
    try {
      const message = this.#requests.sendFile(text, file, version);
      if (utf8Length(encode(message)) > this.#maxMessageBytes) {
        return over(fileId, ErrorCode.TOO_LARGE, "file and text are above one message to this bot");
      }
      return { message, told: over(fileId).told };
    } catch (error) {
      if (!(error instanceof VoxwireError)) throw error;
      return over(fileId, ErrorCode.UNSUPPORTED, error.reason);
    }
  }
}

function over(fileId: string, code: ErrorCode = ErrorCode.UNSPECIFIED, reason = ""): FileStep {
  return { told: [envelope({ case: "fileEnded", value: { fileId, code, reason } })] };
}

function base64(data: Uint8Array): string {
  let text = "";
  for (let at = 0; at < data.length; at += BLOCK_BYTES) {
    text += btoa(String.fromCharCode(...data.subarray(at, at + BLOCK_BYTES)));
  }
  return text;
}
