"""Over real sockets: a server that leaves says where the session goes on; nobody may be there."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable

import pytest

import voxwire
from tests.conftest import TRANSPORTS
from tests.support.clicks import make_bot
from tests.support.inside import only_session
from tests.support.proxy import proxied
from tests.support.waiting import DEADLINE_S, LONG, PATIENT, until
from tests.support.watched import watched
from voxwire_protocol import wire
from voxwire_server.testing import RunningServer, running_server

PATH = "/v1/session"


def send_away(server: RunningServer, url: str, *, time_left_ms: int = 0) -> None:
    """Tell the only client to go on there."""
    away = wire.GoAway(reason="a new version", time_left_ms=time_left_ms, resume_url=f"{url}{PATH}")
    only_session(server).emit(go_away=away)


async def answers(session: voxwire.Session, words: int) -> None:
    """Have the bot say something, and hear all of it."""
    await session.send_text(f"say {words}")
    async with asyncio.timeout(DEADLINE_S):
        assert (await session.wait_for(voxwire.UtteranceEnded)).end == "completed"


@contextlib.asynccontextmanager
async def nobody() -> AsyncIterator[str]:
    """A port where nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"ws://127.0.0.1:{held.getsockname()[1]}"


@contextlib.asynccontextmanager
async def black_hole() -> AsyncIterator[str]:
    """A socket that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        yield f"ws://127.0.0.1:{deaf.getsockname()[1]}"


@contextlib.asynccontextmanager
async def stranger() -> AsyncIterator[str]:
    """A server that does not know the session."""
    async with running_server(make_bot()) as server:
        yield server.url


DEAD = [nobody, black_hole, stranger]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_session_goes_on_where_the_server_says(transport: str) -> None:
    async with (
        running_server(make_bot(), **PATIENT) as server,
        proxied(server.port) as elsewhere,
        voxwire.connect(server.url, transport=transport, timeouts=LONG) as session,
    ):
        await answers(session, 2)
        told = asyncio.create_task(session.wait_for(voxwire.ConnectionChanged))
        send_away(server, elsewhere.url, time_left_ms=2000)
        changed = await told
        assert (changed.state, changed.attempt, changed.epoch) == ("connected", 0, 2)
        assert elsewhere.accepted == 1
        await answers(session, 3)
        elsewhere.cut()  # where it was welcomed last it comes back to
        await until(lambda: elsewhere.accepted == 2)
        await answers(session, 2)


@pytest.mark.parametrize("dead", DEAD)
async def test_from_where_nobody_is_it_comes_back_to_the_first_url(
    dead: Callable[[], contextlib.AbstractAsyncContextManager[str]],
) -> None:
    """First with its socket in hand, and then without."""
    async with (
        running_server(make_bot(), **PATIENT) as server,
        dead() as url,
        voxwire.connect(server.url, transport="websocket", timeouts=LONG) as session,
    ):
        await answers(session, 2)
        told = asyncio.create_task(session.wait_for(voxwire.ConnectionChanged))
        send_away(server, url)
        changed = await told
        assert (changed.state, changed.attempt, changed.epoch) == ("connected", 0, 2)
        await answers(session, 2)
        send_away(server, url, time_left_ms=3_600_000)
        await session.wait_for(voxwire.GoingAway)
        session.simulate.drop_control()
        states = [await session.wait_for(voxwire.ConnectionChanged) for _ in range(3)]
        assert [one.state for one in states] == ["reconnecting", "reconnecting", "connected"]
        await answers(session, 2)


@pytest.mark.timing(
    reason="from a URL that swallows everything the first one is reached within 3 s"
)
async def test_the_way_back_from_a_black_hole_takes_three_seconds_at_most() -> None:
    loop = asyncio.get_running_loop()
    async with (
        running_server(make_bot(), **PATIENT) as server,
        black_hole() as url,
        voxwire.connect(server.url, transport="websocket") as session,
    ):
        began_s = loop.time()
        told = asyncio.create_task(session.wait_for(voxwire.ConnectionChanged))
        send_away(server, url)
        await told
        moved_s = loop.time() - began_s
        send_away(server, url, time_left_ms=3_600_000)
        await session.wait_for(voxwire.GoingAway)
        session.simulate.drop_control()
        while (back := await session.wait_for(voxwire.ConnectionChanged)).state != "connected":
            pass
        print(f"with the socket in hand {moved_s:.2f} s, without {back.after_ms} ms")
        assert moved_s <= 3
        assert back.after_ms <= 3000


async def test_behind_a_load_balancer_the_next_try_reaches_another_replica() -> None:
    async with (
        watched(drain_ms=60_000) as leaving,
        running_server(make_bot()) as staying,
        proxied(leaving.port) as balancer,
    ):
        async with voxwire.connect(leaving.url, transport="websocket", timeouts=LONG) as talker:
            leaving.process.send_signal(signal.SIGTERM)
            assert (await talker.wait_for(voxwire.GoingAway)).time_left_ms > 0

            async def connected() -> None:
                async with voxwire.connect(
                    balancer.url, transport="websocket", timeouts=LONG
                ) as session:
                    await answers(session, 2)
                    assert len(staying.registry) == 1

            newcomer = asyncio.create_task(connected())
            await until(lambda: balancer.accepted == 1)
            balancer.to_port = staying.port  # as /readyz says
            await newcomer
            assert balancer.accepted >= 2
            await answers(talker, 2)  # who was there goes on
