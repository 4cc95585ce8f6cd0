"""`tap`: a program sees every message, both ways, and no secret."""

import asyncio
import logging
from typing import Any

import pytest
from virtual import session_of, virtual

import voxwire
from voxwire.testing import FakeServer, FakeSession, VirtualTime
from voxwire_protocol import wire

TOKEN = "s3cret-token"


async def talks(session: FakeSession) -> None:
    await session.say("hello")
    await session.text()
    await session.say("goodbye")


def kinds(seen: list[voxwire.TappedMessage]) -> list[str]:
    return [f"{it.direction} {it.envelope.WhichOneof('payload')}" for it in seen]


@virtual
async def test_it_sees_every_message_once_both_ways_from_hello_on(time: VirtualTime) -> None:
    seen: list[voxwire.TappedMessage] = []
    began_ms = time.now_ms()
    async with FakeServer(talks, tokens=(TOKEN,)) as server:
        async with session_of(server, token=TOKEN, tap=seen.append) as session:
            await session.wait_for(voxwire.UtteranceEnded)
            await session.send_text("private")
            async for _ in session:
                pass
    told = kinds(seen)
    assert told[0] == "out hello"
    assert sorted(told[1:3]) == ["in welcome", "out path_open"]
    for once in ("out send_text", "in session_ended", "in path_ready"):
        assert told.count(once) == 1
    assert {"in audio", "in utterance_words", "out playout_report", "out ping"} <= set(told)
    moments = [it.at_ms for it in seen]
    assert moments == sorted(moments)
    assert moments[0] >= began_ms
    hello, welcome = seen[0].envelope.hello, seen[told.index("in welcome")].envelope.welcome
    assert (hello.token, welcome.resume_token) == ("", b"")
    assert (hello.client.library, welcome.session_id) != ("", "")
    assert not [it for it in seen if TOKEN.encode() in it.data]
    assert server.hellos[0].token == TOKEN
    for it in seen:
        assert wire.Envelope.FromString(it.data).WhichOneof("payload") == it.envelope.WhichOneof(
            "payload"
        )
    [text] = [it for it in seen if it.envelope.HasField("send_text")]
    assert wire.Envelope.FromString(text.data).seq > 0, "the bytes of the wire"


@virtual
async def test_a_session_that_comes_back_shows_its_hello_without_the_resume_token() -> None:
    seen: list[voxwire.TappedMessage] = []
    async with FakeServer() as server, session_of(server, tap=seen.append) as session:
        server.network.cut()
        await session.wait_for(voxwire.ConnectionChanged)
        await session.wait_for(voxwire.ConnectionChanged)
        hellos = [it for it in seen if it.envelope.HasField("hello")]
        assert len(hellos) == 2
        assert server.hellos[1].resume_token
        assert server.hellos[1].resume_token not in hellos[1].data


@pytest.mark.parametrize("raised", [LookupError("oh"), asyncio.CancelledError()])
@virtual
async def test_one_that_fails_is_logged_and_the_session_goes_on(
    caplog: pytest.LogCaptureFixture, raised: BaseException
) -> None:
    def broken(message: voxwire.TappedMessage) -> None:
        if message.envelope.HasField("utterance_ended"):
            raise raised

    after: list[voxwire.TappedMessage] = []
    async with FakeServer(talks) as server, session_of(server) as session:
        session.tap(broken)
        session.tap(after.append)
        with caplog.at_level(logging.ERROR, "voxwire"):
            await session.wait_for(voxwire.UtteranceEnded)
        assert "in utterance_ended" in kinds(after)
    assert "a tap failed at utterance_ended" in caplog.text


@virtual
async def test_it_can_be_taken_away_and_is_then_told_nothing(time: VirtualTime) -> None:
    first: list[Any] = []
    async with FakeServer(talks) as server, session_of(server) as session:
        offs = [session.tap(first.append), session.tap(first.append)]
        await session.send_message("a")
        assert kinds(first) == ["out app_message"] * 2
        offs[0]()
        offs[0]()
        await session.send_message("b")
        assert kinds(first) == ["out app_message"] * 3
        offs[1]()
        await time.advance(1000)
        await session.send_message("c")
        assert len(first) == 3
        assert not session._options.taps, "nothing is done for nobody"


@virtual
async def test_a_message_in_chunks_is_one_message() -> None:
    seen: list[voxwire.TappedMessage] = []
    async with FakeServer(talks) as server, session_of(server) as session:
        session.tap(seen.append)
        await session.send_text("ü" * 60_000)
        [it] = [it for it in seen if it.envelope.HasField("send_text")]
        assert len(wire.Envelope.FromString(it.data).send_text.text) == 60_000


@virtual
async def test_what_cannot_be_called_at_once_is_refused() -> None:
    async def waits(message: Any) -> None: ...

    async with FakeServer(talks) as server, session_of(server) as session:
        for given in (None, 5, waits):
            with pytest.raises(voxwire.UsageError, match="a tap is a plain function"):
                session.tap(given)  # type: ignore[arg-type]
