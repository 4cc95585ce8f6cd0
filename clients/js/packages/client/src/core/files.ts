/** Files on their way to the bot (protocol/spec/files.md); loaded when the first one is sent. */
import { codeFromWire, makeError, type VoxwireError, type wire } from "@voxwire/protocol";
import type { FileAcceptance, SendFileOptions } from "../api.js";
import type { Payload } from "../media/media.js";
import { asError } from "./attach.js";
import { randomId } from "./environment.js";
import type { Send } from "./opening.js";
import type { Scope } from "./scope.js";

/** Largest piece of a file, bytes. */
const PIECE_BYTES = 16_384;
const MAX_NAME_CHARS = 255;
const MAX_TEXT_CHARS = 16_000;
/** What no name has in it: paths, controls, breaks of lines, what turns the order of text around. */
const NO_NAME = /[/\\\p{Cc}\p{Cs}\u2028-\u202e\u2066-\u2069]|^\.\.?$/u;
const TOKEN = "[a-z0-9][a-z0-9!#$&^_.+-]{0,62}"; // RFC 6838 §4.2
const MEDIA_TYPE = new RegExp(`^${TOKEN}/${TOKEN}$`);

/** What a page has of a file. */
export type FileData = Blob | ArrayBuffer | Uint8Array;

interface Transfer {
  readonly begin: wire.PayloadInit;
  readonly data: Uint8Array<ArrayBuffer>;
  /** What was sent; undefined = the server has not said where it is. */
  sent: number | undefined;
  progress(taken: number): void;
  end(error?: unknown): void;
}

/** The files of one session. A lost connection changes nothing here: the control channel keeps what
 * was said, and where that is gone each file is begun again, from where the server is.
 *
 * A channel to something else than our server carries files by taking `fileBegin`, `filePiece` and
 * `fileCancel`, and by answering `fileTaken` and `fileEnded`; `BotFiles` of
 * `@voxwire/protocol/rtvi` does that for a stock Pipecat bot. */
export class Files {
  readonly #open = new Map<string, Transfer>();

  constructor(
    private readonly scope: Scope,
    private readonly send: Send,
  ) {}

  /** Sends a file; resolves when the bot has it, rejects with why it was refused. Aborted, the file
   * is given up. */
  async sendFile(
    accepts: FileAcceptance | undefined,
    name: string,
    type: string,
    data: FileData,
    options: SendFileOptions = {},
  ): Promise<void> {
    const { text = "", run = true, speak = true, signal, onProgress } = options;
    const size = data instanceof Blob ? data.size : data.byteLength;
    const essence = mediaTypeOf(type);
    check(name, essence, size, text, accepts);
    signal?.throwIfAborted();
    const bytes = await bytesOf(data);
    const fileId = randomId(this.scope.env, 8);
    const value = { fileId, name, type: essence, size, text, runImmediately: run };
    const begin = { case: "fileBegin", value: { ...value, audioResponse: speak } } as const;
    await this.scope.wait<void>((resolve, reject) => {
      const give = (error: unknown) => {
        this.#tell({ case: "fileCancel", value: { fileId } });
        reject(error);
      };
      const aborted = () => give(signal?.reason);
      if (signal?.aborted) return reject(signal.reason);
      this.send(begin);
      signal?.addEventListener("abort", aborted);
      this.#open.set(fileId, {
        begin,
        data: bytes,
        sent: undefined,
        progress(taken) {
          try {
            onProgress?.(taken, size);
          } catch (error) {
            give(error);
          }
        },
        end: (error) => (error === undefined ? resolve() : reject(error)),
      });
      return () => {
        this.#open.delete(fileId);
        signal?.removeEventListener("abort", aborted);
      };
    });
  }

  /** Takes `fileTaken` or `fileEnded`, and ignores one about no file of these. Nothing = messages
   * were lost, both ways. */
  receive(payload?: Payload): void {
    if (payload === undefined) this.#again();
    else if (payload.case === "fileEnded") {
      const { fileId, code, reason, retryable } = payload.value;
      const error = code ? makeError(codeFromWire(code), reason, { retryable }) : undefined;
      this.#open.get(fileId)?.end(error);
    } else if (payload.case === "fileTaken") {
      const transfer = this.#open.get(payload.value.fileId);
      if (transfer) this.#goOn(transfer, payload.value);
    }
  }

  /** Asks how far every file has come. */
  #again(): void {
    for (const transfer of this.#open.values()) {
      transfer.sent = undefined;
      this.#tell(transfer.begin, transfer);
    }
  }

  #goOn(transfer: Transfer, { fileId, offset: taken, limit }: wire.FileTaken): void {
    const { data } = transfer;
    let offset = transfer.sent ?? taken;
    const end = Math.min(limit, data.length);
    while (offset < end) {
      const next = Math.min(offset + PIECE_BYTES, end);
      const value = { fileId, offset, data: data.subarray(offset, next) };
      if (!this.#tell({ case: "filePiece", value }, transfer)) return;
      offset = next;
    }
    transfer.sent = offset;
    transfer.progress(Math.min(taken, data.length));
  }

  /** False when it cannot be said: then `transfer` has failed. */
  #tell(payload: wire.PayloadInit, transfer?: Transfer): boolean {
    try {
      this.send(payload);
      return true;
    } catch (error) {
      transfer?.end(asError(error));
      return false; // what was to be given up, the server gives up after a while
    }
  }
}

/** The media type without its parameters; empty for what is none. */
function mediaTypeOf(type: string): string {
  const essence = type.replace(/;.*/s, "").trim().toLowerCase();
  return MEDIA_TYPE.test(essence) ? essence : "";
}

function check(
  name: string,
  type: string,
  size: number,
  text: string,
  accepts: FileAcceptance | undefined,
): void {
  const wrong = (reason: string): VoxwireError => makeError("invalid_argument", reason);
  if (!accepts) throw makeError("unsupported", "the bot takes no files");
  if ([...name].length > MAX_NAME_CHARS || NO_NAME.test(name)) {
    throw wrong("name must be the name of a file, without a path");
  }
  if (!type) throw wrong('type must be a media type, for instance "image/png"');
  if ([...text].length > MAX_TEXT_CHARS)
    throw wrong(`text has at most ${MAX_TEXT_CHARS} characters`);
  if (!size) throw wrong("the file is empty");
  const ranges = ["*/*", type.replace(/\/.*/, "/*"), type];
  if (!accepts.types.some((each) => ranges.includes(each))) {
    throw makeError("unsupported", `the bot takes files of type ${accepts.types.join(", ")}`);
  }
  if (size > accepts.maxBytes) {
    throw makeError("too_large", `a file has at most ${accepts.maxBytes} bytes here`);
  }
}

/** A copy: what the page does with its own meanwhile changes nothing. */
async function bytesOf(data: FileData): Promise<Uint8Array<ArrayBuffer>> {
  if (data instanceof Blob) return new Uint8Array(await data.arrayBuffer());
  return new Uint8Array(data instanceof ArrayBuffer ? data.slice(0) : data);
}
