"""A program may wait until the server has what it sent."""

import asyncio

import pytest
from peer import connect
from resuming import ResumeSession, keeping
from virtual import session_of, virtual

import voxwire
from voxwire import sync
from voxwire._control import Control
from voxwire._receipts import Receipts
from voxwire.testing import FakeServer, FakeSession, NetworkState, VirtualTime
from voxwire_protocol import wire

CODE = voxwire.ErrorCode


async def waits(session: FakeSession) -> None:
    await asyncio.Event().wait()


@virtual
async def test_what_was_sent_has_reached_the_server(time: VirtualTime) -> None:
    async with FakeServer(waits) as server, session_of(server) as session:
        server.network.latency_ms = 40
        for number in range(3):
            await session.send_message("note", number)
        began_ms = time.now_ms()
        assert not server.session.said("app_message")
        await session.acknowledged()
        assert len(server.session.said("app_message")) == 3
        assert 80 <= time.now_ms() - began_ms <= 80 + 250 + 10
        began_ms = time.now_ms()
        await session.acknowledged()  # nothing more was sent
        assert time.now_ms() == began_ms


@virtual
async def test_it_is_about_what_was_sent_before_it(time: VirtualTime) -> None:
    async with FakeServer(waits) as server, session_of(server) as session:
        await session.send_message("note", 1)
        first = asyncio.create_task(session.acknowledged())
        await time.advance(100)
        server.network.state = NetworkState.DARK
        await session.send_message("note", 2)
        second = asyncio.create_task(session.acknowledged(timeout_ms=500))
        with pytest.raises(voxwire.TransportError) as caught:
            await second
        assert (caught.value.code, caught.value.retryable) == (CODE.TIMEOUT, True)
        assert "500 ms" in caught.value.reason
        server.network.state = NetworkState.UP
        await first
        await session.acknowledged()
        assert [it.data_json for it in server.session.said("app_message")] == ["1", "2"]


@virtual
async def test_a_lost_connection_is_waited_out() -> None:
    async with FakeServer(waits) as server, session_of(server) as session:
        session.simulate.drop_control()
        await session.wait_for(voxwire.ConnectionChanged)
        await session.send_text("hello")
        assert session.connection is voxwire.ConnectionState.RECONNECTING
        await session.acknowledged()
        assert [it.text for it in server.session.said("send_text")] == ["hello"]


@virtual
async def test_a_welcome_that_resumes_acknowledges_too() -> None:
    """The server had it, and its acknowledgement was lost with the socket."""

    async def script(session: ResumeSession) -> None:
        await session.first()
        session.quiet = True
        while not session.texts:
            await asyncio.sleep(0.005)
        session.cut()
        peer = await session.dial()
        await peer.say(welcome=session.welcome(resumed=True))  # and not another word until
        await done.wait()
        session.quiet = False
        await session.ready(peer, path_id=2)
        await peer.until_bye()

    done, kept = asyncio.Event(), ResumeSession()
    async with keeping(script, session=kept) as url:
        async with connect(url, transport="websocket") as session:
            await session.send_text("0")
            await session.acknowledged(timeout_ms=1000)
            done.set()
    assert kept.texts == ["0"]


@virtual
async def test_what_a_snapshot_leaves_out_is_said_to_be_lost(time: VirtualTime) -> None:
    async with FakeServer(waits) as server, session_of(server) as session:
        server.forgetful = True
        session.simulate.drop_control()
        await session.wait_for(voxwire.ConnectionChanged)
        await session.send_text("lost")
        with pytest.raises(voxwire.TransportError) as caught:
            await session.acknowledged()
        assert (caught.value.code, caught.value.retryable) == (CODE.CONNECTION_LOST, True)
        skipped = await session.wait_for(voxwire.EventsSkipped)
        assert skipped.unsent == 1
        await session.send_text("again")
        await session.acknowledged()  # by the new numbers
    assert [it.text for it in server.session.said("send_text")] == ["again"]


@virtual
async def test_it_ends_with_the_session() -> None:
    async with FakeServer(waits) as server, session_of(server) as session:
        server.network.latency_ms = 5
        await session.send_text("hello")
        server.session.finish(wire.EndReason.END_REASON_SERVER)  # while that is on its way
        with pytest.raises(voxwire.UsageError) as caught:
            await session.acknowledged(timeout_ms=60_000)
        assert caught.value.code is CODE.INVALID_STATE
        async for _ in session:
            pass
        with pytest.raises(voxwire.UsageError, match="has ended"):
            await session.acknowledged()


@virtual
async def test_a_session_that_fails_says_why() -> None:
    async with FakeServer(waits) as server:
        with pytest.raises(voxwire.TransportError):
            async with session_of(server, resume=False) as session:
                server.network.latency_ms = 1000
                await session.send_text("hello")
                waiting = asyncio.create_task(session.acknowledged())
                await asyncio.sleep(0)
                session.simulate.drop_control()
                with pytest.raises(voxwire.TransportError) as caught:
                    await waiting
                assert caught.value.code is CODE.CONNECTION_LOST
                async for _ in session:
                    pass


@virtual
async def test_cancelled_it_leaves_nothing(time: VirtualTime) -> None:
    async with FakeServer(waits) as server, session_of(server) as session:
        server.network.latency_ms = 100
        await session.send_text("hello")
        waiting = asyncio.create_task(session.acknowledged())
        await time.advance(50)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert not session._runtime.receipts._awaited
        for wrong in (-1, "1", float("nan")):
            with pytest.raises(voxwire.UsageError):
                await session.acknowledged(timeout_ms=wrong)  # type: ignore[arg-type]
        await session.acknowledged(timeout_ms=float("inf"))


async def test_numbers_that_begin_anew_are_no_receipts() -> None:
    receipts = Receipts()
    receipts.reached(10)
    await receipts.wait(10, 0)
    receipts.void()
    with pytest.raises(voxwire.TransportError) as caught:
        await receipts.wait(1, 0)
    assert caught.value.code is CODE.TIMEOUT


@virtual
async def test_who_acknowledges_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bot of Pipecat's own runner: test_rtvi_control.py."""
    async with FakeServer(waits) as server, session_of(server) as session:
        monkeypatch.setattr(Control, "sent", None)
        with pytest.raises(voxwire.UsageError) as caught:
            await session.acknowledged()
        assert caught.value.code is CODE.UNSUPPORTED


def test_the_facade_waits_for_it() -> None:
    server = FakeServer(waits)
    with sync.connect(server.url, environment=server.environment) as session:
        session.send_message("note", 1)
        session.acknowledged()
        assert len(server.session.said("app_message")) == 1
