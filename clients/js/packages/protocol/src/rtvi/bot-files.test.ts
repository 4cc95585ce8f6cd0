import { expect, test } from "vitest";
import { wire } from "../index.js";
import { encode, type RtviMessage, StockBot } from "./index.js";

const MAX_BYTES = ((65_536 - 1536) * 3) / 4;
const PIECE_BYTES = 16_384;

function line({ version = "2.2.0", maxMessageBytes = 65_536 } = {}) {
  const bot = new StockBot({ newId: () => "1", maxMessageBytes });
  const [ready] = bot.read({ type: "bot-ready", data: { version }, id: "r" }, 0);
  const sent: RtviMessage[] = [];
  const told: wire.Envelope["payload"][] = [];
  const tell = (payload: wire.PayloadInit) => {
    const step = bot.takeFile(wire.envelope(payload));
    if (step.message) sent.push(step.message);
    told.push(...step.told.map((one) => one.payload));
  };
  const begin = (size: number, more: { readonly text?: string; fileId?: string } = {}) =>
    tell({
      case: "fileBegin",
      value: { fileId: "f", name: "a.png", type: "image/png", size, ...more },
    });
  const piece = (offset: number, data: Uint8Array<ArrayBuffer>, fileId = "f") =>
    tell({ case: "filePiece", value: { fileId, offset, data } });
  const codes = () => told.flatMap((one) => (one.case === "fileEnded" ? [one.value.code] : []));
  const welcome = ready?.payload.case === "welcome" ? ready.payload.value : undefined;
  return { tell, begin, piece, sent, told, codes, welcome };
}

test("a file becomes one message", () => {
  const { begin, piece, sent, told, codes } = line();
  const data = Uint8Array.from({ length: MAX_BYTES }, (_, at) => at * 7);
  begin(MAX_BYTES, { text: "look" });
  expect(told).toMatchObject([{ case: "fileTaken", value: { offset: 0, limit: MAX_BYTES } }]);
  for (let at = 0; at < MAX_BYTES; at += PIECE_BYTES) {
    piece(at, data.slice(at, at + PIECE_BYTES));
  }
  const bytes = Buffer.from(data).toString("base64");
  const file = { format: "image/png", name: "a.png", source: { type: "bytes", bytes } };
  expect(sent).toEqual([{ type: "send-file", id: "1", data: { content: "look", file } }]);
  expect(encode(sent[0] as RtviMessage).length).toBeLessThanOrEqual(65_536);
  expect(codes()).toEqual([0]);
});

test("what a bot takes is said, and what it cannot take is refused", () => {
  expect(line().welcome?.accepts).toMatchObject({ types: ["*/*"], maxBytes: MAX_BYTES });
  expect(line({ maxMessageBytes: 0 }).welcome?.accepts).toBeUndefined();
  const old = line({ version: "2.1.0" });
  expect(old.welcome?.accepts).toBeUndefined();
  old.begin(1);
  const now = line();
  now.begin(MAX_BYTES + 1);
  now.begin(1, { text: "é".repeat(40_000) });
  now.piece(0, new Uint8Array(1));
  const { UNSUPPORTED, TOO_LARGE } = wire.ErrorCode;
  expect([old.codes(), now.codes(), now.sent]).toEqual([[UNSUPPORTED], [TOO_LARGE, TOO_LARGE], []]);
});

test("pieces that do not fit, a file that is given up, and too many", () => {
  const { tell, begin, piece, codes, sent } = line();
  for (const fileId of ["f0", "f1", "f2", "f3", "f4"]) begin(2, { fileId });
  tell({ case: "fileCancel", value: { fileId: "f0" } });
  piece(0, new Uint8Array(1), "f0");
  piece(1, new Uint8Array(1), "f1");
  piece(0, new Uint8Array(3), "f2");
  piece(0, new Uint8Array(0), "f3");
  const { MALFORMED, RATE_LIMITED } = wire.ErrorCode;
  expect(codes()).toEqual([RATE_LIMITED, ...Array(4).fill(MALFORMED)]);
  expect(sent).toEqual([]);
});
