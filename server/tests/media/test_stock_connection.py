"""A stock client's data channel: what is sent before it opens, and what it cannot carry."""

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("aiortc")

from voxwire_protocol import rtc, wire
from voxwire_server.config import Settings
from voxwire_server.media.peer import Reachable
from voxwire_server.media.stock_rtc import StockConnection
from voxwire_server.routes.stock_call import _ChatWire
from voxwire_server.session.listening import carrier_settings

LONG = "ü" * (rtc.MAX_MESSAGE_BYTES // 2 + 1)
LONGEST = "x" * rtc.MAX_MESSAGE_BYTES


class FakeChannel:
    """aiortc's, as much of it as a :class:`rtc.DataChannel` asks."""

    readyState = "open"
    id = 1
    label = "chat"

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.transport = SimpleNamespace(_data_channel_queue=[], _sent_queue=[], _outbound_queue=[])

    def on(self, event: str, call: Any) -> None: ...

    def send(self, text: str) -> None:
        self.sent.append(text)
        chunk = SimpleNamespace(stream_id=1, stream_seq=len(self.sent))
        self.transport._sent_queue.append(chunk)


@pytest.fixture
def connection() -> StockConnection:
    formats = carrier_settings(Settings()).formats(wire.Codec.CODEC_OPUS)
    return StockConnection(Reachable("127.0.0.1"), formats)


async def test_one_message_that_is_too_long_costs_no_other_one(
    connection: StockConnection, caplog: pytest.LogCaptureFixture
) -> None:
    channel: Any = FakeChannel()
    assert [connection.send(text) for text in ("early", LONG, LONGEST)] == [True, False, True]
    connection._opened(rtc.DataChannel(channel))
    assert [connection.send(text) for text in (LONG, "late")] == [False, True]
    assert channel.sent == ["early", LONGEST, "late"]
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2


async def test_what_was_dropped_does_not_count_as_sent(connection: StockConnection) -> None:
    channel: Any = FakeChannel()
    connection._opened(rtc.DataChannel(channel))
    chat = _ChatWire(connection, lambda _: None)
    for text in ("one", LONG, "two"):
        chat.send(text)
    channel.transport._sent_queue.pop(0)
    assert chat.undelivered() == ["two"]
    chat.send("three")
    assert chat.undelivered() == ["two", "three"]
