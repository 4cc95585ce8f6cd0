"""A server without a place: the client waits, knows where it is, and its deadline stands still."""

import asyncio
from typing import Any

import pytest
from virtual import session_of, virtual

import voxwire
from voxwire.testing import FakeServer, FakeSession, NetworkState, VirtualTime
from voxwire_protocol import wire

WAITING = wire.Feature.FEATURE_WAITING


async def greets(session: FakeSession) -> None:
    await session.say("hello")
    await asyncio.Event().wait()


def entering(server: FakeServer, **options: Any) -> "asyncio.Task[voxwire.Session]":
    return asyncio.create_task(session_of(server, **options).__aenter__())


async def keep_telling(server: FakeServer, position: int) -> None:
    while True:
        server.wait_with(position)
        await asyncio.sleep(5)


@virtual
async def test_a_client_waits_and_its_deadline_stands_still(time: VirtualTime) -> None:
    told: list[voxwire.Waiting] = []
    async with FakeServer(greets) as server:
        server.wait_with(2, 40_000)
        coming = entering(
            server, on_waiting=told.append, timeouts=voxwire.Timeouts(connect_ms=1000)
        )
        await time.advance(12_000)
        server.wait_with(2, 40_000)
        await time.advance(12_000)
        server.wait_with(1, 20_000)
        await time.advance(12_000)
        assert told == [voxwire.Waiting(2, 40_000), voxwire.Waiting(1, 20_000)]
        assert not server.sessions
        server.welcome_again()
        session = await coming
        assert (await session.wait_for(voxwire.BotWord)).text == "hello"
        await time.advance(3000)  # and no message is taken for unanswered because it is old
        assert len(server.hellos) == 1
        await session.close()


@virtual
async def test_what_is_left_of_the_deadline_counts_after_the_wait(time: VirtualTime) -> None:
    async with FakeServer() as server:
        server.deaf_to = {wire.Carrier.CARRIER_WEBSOCKET}
        server.wait_with(1)
        began_ms = time.now_ms()
        coming = entering(server, timeouts=voxwire.Timeouts(connect_ms=1000))
        await time.advance(8000)
        server.welcome_again()
        with pytest.raises(voxwire.TransportError, match="media path did not become ready"):
            await coming
        assert 8900 <= time.now_ms() - began_ms <= 9100


@virtual
async def test_the_wait_has_an_end_of_its_own(time: VirtualTime) -> None:
    async with FakeServer() as server:
        telling = asyncio.create_task(keep_telling(server, 3))
        began_ms = time.now_ms()
        with pytest.raises(voxwire.TransportError, match="no place in time; 3 in its") as caught:
            await entering(server, timeouts=voxwire.Timeouts(waiting_ms=30_000))
        assert (caught.value.code, caught.value.retryable) == (voxwire.ErrorCode.TIMEOUT, True)
        assert 30_000 <= time.now_ms() - began_ms <= 30_100
        telling.cancel()
        await asyncio.wait({telling})


@virtual
async def test_who_does_not_wait_says_so_and_is_refused_at_once(time: VirtualTime) -> None:
    async with FakeServer() as server:
        server.refuse_with(voxwire.ErrorCode.CAPACITY, "the server is full", retry_after_ms=60_000)
        with pytest.raises(voxwire.SessionError, match="full"):
            await entering(server, timeouts=voxwire.Timeouts(waiting_ms=0))
        assert WAITING not in server.hellos[0].features
        server.welcome_again()
        await (await entering(server)).close()
        assert WAITING in server.hellos[1].features


@virtual
async def test_a_refusal_at_the_end_of_the_wait_is_the_error(time: VirtualTime) -> None:
    async with FakeServer() as server:
        server.wait_with(1)
        coming = entering(server)
        await time.advance(5000)
        server.refuse_with(voxwire.ErrorCode.CAPACITY, "no place came free", retry_after_ms=60_000)
        with pytest.raises(voxwire.SessionError, match="no place came free") as caught:
            await coming
        assert caught.value.retry_after_ms == 60_000


@virtual
async def test_the_last_refusal_is_the_error_though_one_more_try_is_under_way(
    time: VirtualTime,
) -> None:
    async with FakeServer() as server:
        server.refuse_with(voxwire.ErrorCode.CAPACITY, "the server is full", retry_after_ms=1000)
        coming = entering(server, timeouts=voxwire.Timeouts(connect_ms=3000))
        await time.advance(500)
        server.refuse, server.mute = None, True
        with pytest.raises(voxwire.SessionError, match="full"):
            await coming
        assert len(server.hellos) == 2


@virtual
async def test_who_gives_up_waiting_leaves_nothing(time: VirtualTime) -> None:
    async with FakeServer() as server:
        server.wait_with(1)
        coming = entering(server)
        await time.advance(3000)
        coming.cancel()
        await asyncio.wait({coming})
        assert coming.cancelled()
        server.welcome_again()
        await time.advance(1000)
        assert not [session for session in server.sessions if session.attached]


@virtual
async def test_the_time_in_the_queue_is_none_of_the_grace(time: VirtualTime) -> None:
    async with FakeServer() as server:
        telling = asyncio.create_task(keep_telling(server, 2))
        coming = entering(server)
        for _ in range(3):
            await time.advance(38_000)
            server.network.cut()
        await time.advance(2000)
        assert not coming.done()
        telling.cancel()
        await asyncio.wait({telling})
        server.welcome_again()
        await (await coming).close()


async def never_awaited(place: voxwire.Waiting) -> None:
    raise AssertionError(place)


class Called:
    async def __call__(self, place: voxwire.Waiting) -> None:
        raise AssertionError(place)


@virtual
@pytest.mark.parametrize("given", [never_awaited, Called()])
async def test_what_would_have_to_be_awaited_is_not_taken(time: VirtualTime, given: Any) -> None:
    async with FakeServer() as server:
        with pytest.raises(voxwire.UsageError, match="plain function"):
            await entering(server, on_waiting=given)


@virtual
async def test_a_wait_whose_connection_is_lost_goes_on_with_the_same_nonce(
    time: VirtualTime,
) -> None:
    async with FakeServer() as server:
        server.wait_with(2)
        coming = entering(server)
        await time.advance(3000)
        server.network.cut()
        await time.advance(12_000)  # longer than an attempt to come back may take otherwise
        assert len(server.hellos) == 2
        assert server.hellos[0].attach_nonce == server.hellos[1].attach_nonce
        server.welcome_again()
        session = await coming
        await session.close()


@virtual
async def test_a_server_that_falls_silent_is_dialled_again(time: VirtualTime) -> None:
    async with FakeServer() as server:
        server.wait_with(2)
        coming = entering(server)
        await time.advance(1000)
        server.network.state = NetworkState.DARK
        await time.advance(14_500)
        server.network.state = NetworkState.UP
        await time.advance(2000)
        assert len(server.hellos) == 2
        server.welcome_again()
        await (await coming).close()


@virtual
async def test_what_the_hook_raises_ends_the_attempt(time: VirtualTime) -> None:
    def hook(_: voxwire.Waiting) -> None:
        raise RuntimeError("the hook")

    async with FakeServer() as server:
        server.wait_with(1)
        with pytest.raises(RuntimeError, match="the hook"):
            await entering(server, on_waiting=hook)


def test_a_hook_is_a_function() -> None:
    with pytest.raises(voxwire.UsageError, match="on_waiting must be a function"):
        voxwire.connect("ws://voxwire.test", on_waiting=3)  # type: ignore[arg-type]
