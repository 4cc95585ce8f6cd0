"""`prepare`: what is ready before `connect`, for how long, and what happens when it is not."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from virtual import Log, session_of, virtual

import voxwire
from voxwire import TokenRequest, sync
from voxwire._prepare import SOCKET_MS, TOKEN_MS
from voxwire.testing import FakeServer, NetworkState, VirtualTime
from voxwire_protocol.clocks import Clock, Timer
from voxwire_protocol.virtual_time import running_clock

Code = voxwire.ErrorCode


class LateClock:
    """Time that has passed while the loop was blocked: no timer has come."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ahead_ms = 0.0

    def now_ms(self) -> float:
        return self._clock.now_ms() + self.ahead_ms

    def call_later(self, delay_ms: float, work: Callable[[], object]) -> Timer:
        return self._clock.call_later(delay_ms, work)


class Source:
    """Gives a token, and takes its time."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.asked: list[str] = []

    async def __call__(self, request: TokenRequest) -> str:
        self.asked.append(request.reason)
        await asyncio.sleep(0.3)
        return self.tokens.pop(0)


async def prepared_for(server: FakeServer, **options: Any) -> voxwire.Prepared:
    return await voxwire.prepare(server.url, environment=server.environment, **options)


async def connect_ms(connection: voxwire.Connection, time: VirtualTime) -> float:
    """How long it takes until the session is ready."""
    start_ms = time.now_ms()
    async with connection:
        return time.now_ms() - start_ms


@virtual
async def test_what_was_prepared_is_not_waited_for_again(time: VirtualTime) -> None:
    async with FakeServer(tokens=("good",)) as server:
        server.network.latency_ms = 100
        plain_ms = await connect_ms(session_of(server, token=Source("good")), time)
        assert plain_ms == 600  # 300 for the token, a dial, a round trip
        source = Source("good")
        start_ms = time.now_ms()
        prepared = await prepared_for(server, token=source)
        assert time.now_ms() - start_ms == 300  # side by side
        await time.advance(1000)
        assert await connect_ms(prepared.connect(), time) == 200
        assert source.asked == ["connect"]
        assert len(server.network.dialled) == 2


@virtual
async def test_nothing_is_held_for_ever(time: VirtualTime) -> None:
    async with FakeServer(tokens=("first", "second")) as server:
        source = Source("first", "second")
        prepared = await prepared_for(server, token=source)
        held_ms = time.now_ms()
        assert len(server.network.ends) == 1
        await time.advance(SOCKET_MS - 300 + 2)
        assert not server.network.ends
        await time.advance(TOKEN_MS)
        assert await connect_ms(prepared.connect(), time) == 303
        assert [hello.token for hello in server.hellos] == ["second"]
        assert held_ms > 0


@virtual
async def test_closed_or_cancelled_it_holds_nothing(time: VirtualTime) -> None:
    async with FakeServer() as server:
        prepared = await prepared_for(server)
        await prepared.close()
        await time.advance(2)
        assert not server.network.ends
        preparing = asyncio.create_task(prepared_for(server, token=Source("t")))
        await time.advance(100)
        assert len(server.network.ends) == 1
        preparing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await preparing
        await time.advance(2)
        assert not server.network.ends


@virtual
async def test_trouble_is_met_again_and_raised_by_connect(time: VirtualTime) -> None:
    async with FakeServer() as server:
        server.network.state = NetworkState.REFUSED
        prepared = await prepared_for(server)
        with pytest.raises(voxwire.TransportError, match="is the server running"):
            async with prepared.connect():
                pytest.fail("there is no session")
        server.network.state = NetworkState.UP
        async with prepared.connect() as session:
            assert session.transport == "websocket"


@virtual
async def test_it_takes_no_longer_than_connecting_may(time: VirtualTime) -> None:
    async def hang(_: TokenRequest) -> str:
        return await asyncio.Event().wait() or ""

    async with FakeServer() as server:
        start_ms = time.now_ms()
        waits = voxwire.Timeouts(connect_ms=700)
        prepared = await prepared_for(server, token=hang, timeouts=waits)
        assert time.now_ms() - start_ms == pytest.approx(700, abs=1)
        await prepared.close()


@virtual
async def test_a_socket_that_broke_meanwhile_is_dialled_again(time: VirtualTime) -> None:
    async with FakeServer() as server:
        prepared = await prepared_for(server)
        server.network.cut()
        async with prepared.connect() as session:
            log = Log(session, time)
            await time.advance(100)
            assert session.connection == "connected"
            await session.close()
            await log.over()
        assert len(server.sessions) == 1


@virtual
async def test_a_socket_that_is_too_old_is_not_used_though_its_timer_is_late() -> None:
    async with FakeServer() as server:
        clock = LateClock(running_clock())
        around = replace(server.environment, clock=clock)
        prepared = await voxwire.prepare(server.url, environment=around)
        clock.ahead_ms = SOCKET_MS
        async with prepared.connect():
            assert len(server.network.dialled) == 2


@virtual
async def test_what_prepare_is_given_connect_is_not() -> None:
    async with FakeServer() as server:
        prepared = await prepared_for(server, token=Source("good"))
        for twice in ({"token": "another"}, {"environment": server.environment}, {"peer": None}):
            with pytest.raises(voxwire.UsageError, match=next(iter(twice))):
                prepared.connect(**twice)
        await prepared.close()


@virtual
async def test_a_prepared_token_that_is_refused_is_renewed(time: VirtualTime) -> None:
    async with FakeServer(tokens=("good",)) as server:
        source = Source("old", "good")
        prepared = await prepared_for(server, token=source)
        async with prepared.connect():
            assert source.asked == ["connect", "refused"]


@virtual
async def test_what_it_was_given_is_checked_at_once(time: VirtualTime) -> None:
    for options in ({"transport": "pigeon"}, {"token": 3}, {"timeouts": 3}, {"peer": 3}):
        with pytest.raises(voxwire.UsageError):
            await voxwire.prepare("ws://voxwire.test", **options)
    async with FakeServer() as server:
        prepared = await prepared_for(server)
        with pytest.raises(voxwire.UsageError):
            prepared.connect(token="another")
        await prepared.close()


def test_without_async_the_token_is_there_and_no_thread_is_left() -> None:
    server = FakeServer(tokens=("good",))
    source, before = Source("good"), threading.active_count()
    prepared = sync.prepare(server.url, token=source, environment=server.environment)
    assert threading.active_count() == before
    assert source.asked == ["connect"] and not server.network.dialled
    with prepared.connect() as session:
        assert session.transport == "websocket"
    assert source.asked == ["connect"]
