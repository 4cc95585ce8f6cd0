"""The Welcome of the first attach is lost, and what was said meanwhile is too much to be kept."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import voxwire
from tests.support.clicks import make_bot
from tests.support.inside import channel_messages, delivered_messages, only_session
from voxwire import _dial
from voxwire._attach import lost
from voxwire._socket import Lost, Socket
from voxwire_protocol import wire
from voxwire_server.testing import RunningServer, running_server


@pytest.fixture
def delivered() -> Iterator[list[wire.Envelope]]:
    """What the server's sessions got of their clients' numbered messages."""
    messages: list[wire.Envelope] = []

    def take(_: str, message: wire.Envelope) -> None:
        if message.seq:
            messages.append(message)

    with delivered_messages(take):
        yield messages


@pytest.fixture
def errors() -> Iterator[list[wire.Error]]:
    """Errors that the server's sessions have said."""
    said: list[wire.Error] = []

    def take(envelope: wire.Envelope) -> None:
        if envelope.HasField("error"):
            said.append(envelope.error)

    with channel_messages(take):
        yield said


async def overflow(server: RunningServer, delivered: list[wire.Envelope]) -> None:
    """The client's PathOpen has arrived; then more is said than a session keeps."""
    async with asyncio.timeout(60):
        while not any(message.HasField("path_open") for message in delivered):
            await asyncio.sleep(0.005)
    session = only_session(server)
    for number in range(3000):
        session.emit(app_message=wire.AppMessage(type="n", data_json=str(number)))


async def test_the_numbering_begins_anew_and_nothing_is_delivered_twice(
    monkeypatch: pytest.MonkeyPatch, delivered: list[wire.Envelope], errors: list[wire.Error]
) -> None:
    read_welcome = _dial.Dialler.read_welcome
    welcomes: list[wire.Welcome] = []

    async def lose_the_first(self: _dial.Dialler, socket: Socket, *more: Any) -> wire.Welcome:
        welcome = await read_welcome(self, socket, *more)
        welcomes.append(welcome)
        if len(welcomes) == 1:
            await overflow(server, delivered)
            socket.abort()
            raise Lost(lost("the Welcome was lost"))
        return welcome

    monkeypatch.setattr(_dial.Dialler, "read_welcome", lose_the_first)
    async with running_server(make_bot()) as server:
        async with voxwire.connect(server.url, transport="websocket") as session:
            assert isinstance(await anext(session), voxwire.SessionStarted)
            await session.send_text("say 2")
            async for event in session:
                if isinstance(event, voxwire.EventsSkipped):
                    skipped = event
                if isinstance(event, voxwire.UtteranceEnded):
                    break
            assert event.heard_words == 2
        assert skipped.snapshot is not None
    first, second = welcomes
    assert (first.epoch, second.epoch) == (1, 2)
    assert first.session_id == second.session_id
    assert not second.resumed
    assert second.HasField("snapshot")
    assert second.last_seq == 0
    asked = [m.path_open.path_id for m in delivered if m.HasField("path_open")]
    assert asked == [1, 2]
    assert errors == []
