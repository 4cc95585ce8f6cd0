"""Files of our client become one ``send-file`` of a stock bot, or are refused as a server does."""

import base64
import itertools
from typing import Any

import pytest

from voxwire_protocol import rtvi, wire
from voxwire_protocol.files import PIECE_BYTES, OutgoingFile

MAX_BYTES = (65_536 - 1536) * 3 // 4


class Line:
    """Our client's files at one end, a stock bot at the other."""

    def __init__(self, *, version: str = "2.2.0", max_message_bytes: int = 65_536) -> None:
        ids = itertools.count(1)
        self.bot = rtvi.StockBot(
            new_id=lambda: f"{next(ids):08x}", max_message_bytes=max_message_bytes
        )
        ready = rtvi.RtviMessage("bot-ready", {"version": version}, "r")
        self.welcome = self.bot.read(ready, media_ms=0)[0].welcome
        self.sent: list[rtvi.RtviMessage] = []
        self.ended: list[wire.FileEnded] = []

    def tell(self, envelope: wire.Envelope, file: OutgoingFile | None = None) -> None:
        """Hand an envelope over; what is answered goes to ``file``."""
        step = self.bot.take_file(envelope)
        if step.message is not None:
            self.sent.append(step.message)
        for told in step.told:
            if told.HasField("file_ended"):
                self.ended.append(told.file_ended)
            elif file is not None:
                for piece in file.taken(told.file_taken):
                    self.tell(piece, file)

    def send(self, data: bytes, file_id: str = "f", **fields: Any) -> OutgoingFile:
        begin = {"file_id": file_id, "name": "a.png", "type": "image/png", **fields}
        file = OutgoingFile(wire.FileBegin(**begin), data)
        self.tell(file.begin(), file)
        return file

    @property
    def codes(self) -> list[int]:
        return [ended.code for ended in self.ended]


@pytest.mark.parametrize("size", [1, PIECE_BYTES, PIECE_BYTES + 1, MAX_BYTES])
def test_a_file_becomes_one_message(size: int) -> None:
    line, data = Line(), bytes(range(256)) * 200
    line.send(data[:size], text="look")
    [message] = line.sent
    assert message.type == "send-file"
    assert message.data == {
        "content": "look",
        "file": {
            "format": "image/png",
            "name": "a.png",
            "source": {"type": "bytes", "bytes": base64.b64encode(data[:size]).decode()},
        },
    }
    assert line.codes == [0]
    assert len(rtvi.encode(message)) <= 65_536


def test_how_it_is_answered_is_said_where_it_is_not_as_usual() -> None:
    line = Line()
    line.send(b"x", run_immediately=False)
    assert line.sent[0].data["options"] == {"run_immediately": False, "audio_response": True}


def test_the_welcome_says_what_is_taken() -> None:
    assert list(Line().welcome.accepts.types) == ["*/*"]
    assert Line().welcome.accepts.max_bytes == MAX_BYTES
    assert not Line(version="2.1.0").welcome.HasField("accepts")
    assert not Line(max_message_bytes=0).welcome.HasField("accepts")


def test_what_a_bot_cannot_take_is_refused() -> None:
    codes = wire.ErrorCode
    old = Line(version="2.1.0")
    old.send(b"x")
    assert old.codes == [codes.ERROR_CODE_UNSUPPORTED]
    line = Line()
    line.send(b"x" * (MAX_BYTES + 1))
    line.send(b"x" * MAX_BYTES, text="y" * 5000)
    assert line.codes == [codes.ERROR_CODE_TOO_LARGE] * 2
    assert line.sent == []


def test_pieces_that_do_not_fit_a_file_given_up_and_too_many() -> None:
    codes = wire.ErrorCode
    line = Line()
    for number in range(5):
        begin = wire.FileBegin(file_id=f"f{number}", type="a/b", size=2)
        line.tell(wire.Envelope(file_begin=begin))
    assert line.codes == [codes.ERROR_CODE_RATE_LIMITED]
    line.tell(wire.Envelope(file_cancel=wire.FileCancel(file_id="f0")))
    for file_id, offset, data in (("f0", 0, b"x"), ("f1", 1, b"x"), ("f2", 0, b"xyz")):
        piece = wire.FilePiece(file_id=file_id, offset=offset, data=data)
        line.tell(wire.Envelope(file_piece=piece))
    assert line.codes[1:] == [codes.ERROR_CODE_MALFORMED] * 3
    again = OutgoingFile(wire.FileBegin(file_id="f3", type="a/b"), b"ab")
    line.tell(wire.Envelope(file_piece=wire.FilePiece(file_id="f3", data=b"a")))
    line.tell(again.begin(), again)  # goes on where the bot is
    assert base64.b64decode(line.sent[0].data["file"]["source"]["bytes"]) == b"ab"
