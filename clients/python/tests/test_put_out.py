"""A socket that is closed with 4027 is lost and had back; an unused second one is closed."""

import asyncio
from collections.abc import Callable

import pytest
from replicas import OTHER, Code, Replicas, refused
from virtual import Log, virtual

import voxwire
from voxwire.testing import NetworkState, VirtualTime


def put_out(replicas: Replicas) -> None:
    replicas.session.close_socket(4000 + Code.GOING_AWAY)


async def nothing_said(replicas: Replicas, time: VirtualTime) -> None:
    """It is told nothing beforehand."""


async def brought_back(replicas: Replicas, time: VirtualTime) -> None:
    """It has come back from a dead URL, so that its Welcome is newer than the GoAway."""
    refused(replicas)
    replicas.session.go_away(time_left_ms=6000, resume_url=OTHER)
    await time.advance(4000)


async def cut_meanwhile(replicas: Replicas, time: VirtualTime) -> None:
    """It was cut off in the time that was left, so that its Welcome is newer, too."""
    replicas.session.go_away(time_left_ms=30_000)
    await time.advance(1000)
    replicas.session.drop()
    await time.advance(1000)


@pytest.mark.parametrize("before", [nothing_said, brought_back, cut_meanwhile])
@virtual
async def test_who_is_put_out_comes_back_whatever_was_said_before(
    time: VirtualTime, before: Callable[[Replicas, VirtualTime], asyncio.Future[None]]
) -> None:
    async with Replicas() as replicas, replicas.connect() as session:
        log = Log(session, time)
        await before(replicas, time)
        put_out(replicas)
        await time.advance(500)
        assert log.of(voxwire.ConnectionChanged)[-1].state == "connected"
        assert session.connection == "connected"
        await session.send_text("still here")
        await time.advance(10)
        assert [text.text for text in replicas.session.said("send_text")] == ["still here"]
        await session.close()
        await log.over()
        assert log.failure is None


@virtual
async def test_who_is_put_out_of_a_session_that_is_not_kept_has_none(time: VirtualTime) -> None:
    async with Replicas() as replicas, replicas.connect(resume=False) as session:
        log = Log(session, time)
        replicas.session.go_away(time_left_ms=1000, resume_url=OTHER)
        await time.advance(10)
        put_out(replicas)
        await log.over()
        assert isinstance(log.failure, voxwire.SessionError)
        assert log.failure.code is Code.GOING_AWAY
        assert not replicas.urls


@virtual
async def test_any_other_close_counts_for_who_was_told_to_go(time: VirtualTime) -> None:
    async with Replicas() as replicas, replicas.connect() as session:
        log = Log(session, time)
        replicas.session.go_away(time_left_ms=20_000, resume_url=OTHER)
        await time.advance(10)
        replicas.session.close_socket(4000 + Code.SESSION_EXPIRED)
        await log.over()
        assert isinstance(log.failure, voxwire.SessionError)
        assert log.failure.code is Code.SESSION_EXPIRED
        assert not replicas.urls


@virtual
async def test_a_move_says_nothing_of_how_long_a_socket_may_be_stuck(time: VirtualTime) -> None:
    async with Replicas() as replicas, replicas.connect() as session:
        replicas.session.go_away(time_left_ms=0, resume_url=OTHER)
        await time.advance(500)
        assert replicas.urls == [OTHER]
        replicas.other.network.state = NetworkState.DARK
        sent_ms = time.now_ms()
        await session.send_text("stuck")
        await time.advance(1800)
        assert replicas.urls[:2] == [OTHER, OTHER]
        assert 1000 <= replicas.dialled[2][0] - sent_ms <= 1200
        replicas.other.network.state = NetworkState.UP
        await time.advance(200)
        assert session.connection == "connected"


@virtual
async def test_who_stops_just_when_a_second_socket_is_welcomed_leaves_none(
    time: VirtualTime,
) -> None:
    async with Replicas() as replicas:
        async with replicas.connect():
            await time.advance(10)
            tasks = {
                getattr(one.get_coro(), "__qualname__", ""): one for one in asyncio.all_tasks()
            }
            stop = tasks["Runtime._run_control"].cancel
            loop = asyncio.get_running_loop()
            tasks["Watch.run"].add_done_callback(lambda _: loop.call_soon(stop))
            replicas.session.go_away(time_left_ms=0, resume_url=OTHER)
            await time.advance(500)
            assert replicas.urls == [OTHER]
        await time.advance(1000)
        assert not replicas.other.network.ends
