/** The files that a client sends to a `FakeSession`. */
import * as wire from "@voxwire/protocol/wire";

/** What may be on its way, bytes. */
const WINDOW_BYTES = 32_768;

/** A file that came whole. */
export interface FakeFile {
  readonly name: string;
  readonly type: string;
  readonly text: string;
  readonly runImmediately: boolean;
  readonly data: Uint8Array;
}

interface Arriving {
  readonly begin: wire.FileBegin;
  readonly data: Uint8Array;
  offset: number;
}

/** Takes files as a server does: whole, once, and at its own pace. */
export class FileShelf {
  /** Files that are on their way: what came of each, bytes. */
  readonly #open = new Map<string, Arriving>();
  readonly #over = new Set<string>();

  constructor(
    private readonly send: (payload: wire.PayloadInit) => void,
    private readonly take: (file: FakeFile) => void,
  ) {}

  /** Number of files that are on their way. */
  get open(): number {
    return this.#open.size;
  }

  begin(begin: wire.FileBegin): void {
    const { fileId, size } = begin;
    if (this.#over.has(fileId)) {
      this.send({ case: "fileEnded", value: { fileId } });
      return;
    }
    const known = this.#open.get(fileId);
    const file = known ?? { begin, data: new Uint8Array(size), offset: 0 };
    this.#open.set(fileId, file);
    this.#grant(file);
  }

  piece({ fileId, offset, data }: wire.FilePiece): void {
    const file = this.#open.get(fileId);
    if (!file || offset !== file.offset) {
      this.refuse(fileId, "malformed: no such piece");
      return;
    }
    file.data.set(data, offset);
    file.offset += data.length;
    const { name, type, text, runImmediately = true } = file.begin;
    if (file.offset < file.data.length) {
      this.#grant(file);
      return;
    }
    this.#open.delete(fileId);
    this.#over.add(fileId);
    this.take({ name, type, text, runImmediately, data: file.data });
    this.send({ case: "fileEnded", value: { fileId } });
  }

  cancel({ fileId }: wire.FileCancel): void {
    this.#open.delete(fileId);
  }

  refuse(fileId: string, reason: string): void {
    this.#open.delete(fileId);
    this.send({ case: "fileEnded", value: { fileId, code: wire.ErrorCode.MALFORMED, reason } });
  }

  #grant({ begin, data, offset }: Arriving): void {
    const limit = Math.min(offset + WINDOW_BYTES, data.length);
    this.send({ case: "fileTaken", value: { fileId: begin.fileId, offset, limit } });
  }
}
