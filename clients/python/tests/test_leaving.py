"""A server that leaves: who moves when, and the way back from where nobody answers."""

import asyncio
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from replicas import DEAD, FIRST, OTHER, Code, Replicas, refused
from virtual import Log, virtual

import voxwire
from voxwire.testing import FakeSession, NetworkState, VirtualTime
from voxwire_protocol import wire


@virtual
async def test_a_client_moves_at_a_quiet_moment_with_its_socket_in_hand(time: VirtualTime) -> None:
    async with Replicas() as replicas, replicas.connect() as session:
        log = Log(session, time)
        replicas.session.go_away(time_left_ms=30_000, resume_url=OTHER, reason="a new version")
        await time.advance(6700)
        assert not replicas.urls
        await time.advance(200)
        assert replicas.urls == [OTHER]
        assert (
            6750 <= replicas.dialled[1][0] - log.start_ms <= 6900
        )  # jitter 0.5: a quarter of 27 s
        (changed,) = log.of(voxwire.ConnectionChanged)
        assert (changed.state, changed.attempt, changed.epoch) == ("connected", 0, 2)
        assert log.of(voxwire.GoingAway) == [voxwire.GoingAway("a new version", 30_000)]
        await session.send_text("still here")
        await time.advance(60_000)
        assert [text.text for text in replicas.session.said("send_text")] == ["still here"]
        assert replicas.urls == [OTHER]
        await session.close()
        await log.over()
        assert log.failure is None


@virtual
async def test_what_the_bot_says_is_heard_before_the_client_moves(time: VirtualTime) -> None:
    async def bot(session: FakeSession) -> None:
        await session.text()
        await session.say("one two three four five six seven eight nine ten")
        await asyncio.Event().wait()

    async with Replicas(bot) as replicas, replicas.connect() as session:
        log = Log(session, time)
        replicas.session.go_away(time_left_ms=8000, resume_url=OTHER)
        await session.send_text("go")
        await time.advance(8000)
        (ended_ms,) = log.at(voxwire.UtteranceEnded)
        (changed_ms,) = log.at(voxwire.ConnectionChanged)
        assert 1250 < ended_ms <= changed_ms <= ended_ms + 300
        assert len(log.of(voxwire.BotWord)) == 10
        await session.close()
        await log.over()


@virtual
async def test_a_bot_that_speaks_on_is_left_in_good_time(time: VirtualTime) -> None:
    async def bot(session: FakeSession) -> None:
        while True:
            await session.say("and so on and so on and so on")

    async with Replicas(bot) as replicas, replicas.connect() as session:
        await time.advance(500)
        log = Log(session, time)
        replicas.session.go_away(time_left_ms=10_000, resume_url=OTHER)
        await time.advance(10_000)
        (changed_ms,) = log.at(voxwire.ConnectionChanged)
        assert 7000 <= changed_ms <= 7110
        await session.close()
        await log.over()


@virtual
async def test_the_socket_that_was_left_may_be_closed_before_the_welcome_comes(
    time: VirtualTime,
) -> None:
    async with Replicas() as replicas, replicas.connect() as session:
        log = Log(session, time)
        replicas.other.network.latency_ms = 80
        replicas.session.go_away(time_left_ms=0, resume_url=OTHER)
        await time.advance(1000)
        (changed,) = log.of(voxwire.ConnectionChanged)
        assert (changed.state, changed.attempt, changed.epoch) == ("connected", 0, 2)
        assert log.at(voxwire.ConnectionChanged)[0] <= 110 + 3 * 80
        await session.close()
        await log.over()


@virtual
async def test_a_move_that_is_lost_half_way_is_a_lost_socket(time: VirtualTime) -> None:
    async with Replicas() as replicas, replicas.connect() as session:
        log = Log(session, time)
        replicas.other.network.latency_ms = 80
        replicas.first.network.state = NetworkState.REFUSED
        replicas.session.go_away(time_left_ms=0, resume_url=OTHER)
        while len(replicas.other.hellos) < 1:
            await time.advance(1)
        replicas.other.network.state = NetworkState.DARK  # the session is there, and says nothing
        await time.advance(1500)
        assert replicas.urls[:2] == [OTHER, FIRST]
        assert session.connection == "reconnecting"
        replicas.first.network.state = NetworkState.UP
        await time.advance(1600)
        changes = log.of(voxwire.ConnectionChanged)
        assert [change.state for change in changes] == ["reconnecting", "reconnecting", "connected"]
        assert session.connection == "connected"
        await session.close()
        await log.over()


@pytest.mark.parametrize("dies", DEAD)
@virtual
async def test_who_moves_to_a_dead_url_is_at_the_first_one_within_3_s(
    time: VirtualTime, dies: Callable[[Replicas], None]
) -> None:
    async with Replicas() as replicas, replicas.connect() as session:
        log = Log(session, time)
        dies(replicas)
        replicas.session.go_away(time_left_ms=0, resume_url=OTHER)
        await time.advance(3000)
        assert replicas.urls[0] == OTHER
        assert replicas.urls[-1] == FIRST
        (changed,) = log.of(voxwire.ConnectionChanged)
        assert (changed.state, changed.attempt) == ("connected", 0)  # and never without a socket
        assert log.at(voxwire.ConnectionChanged)[0] <= 1610
        await session.send_text("still here")
        await time.advance(10)
        assert replicas.session.said("send_text")
        assert replicas.session.attached
        await session.close()
        await log.over()


@pytest.mark.parametrize("dies", DEAD)
@virtual
async def test_who_is_put_out_and_finds_a_dead_url_is_back_within_3_s(
    time: VirtualTime, dies: Callable[[Replicas], None]
) -> None:
    async with Replicas() as replicas, replicas.connect() as session:
        log = Log(session, time)
        dies(replicas)
        replicas.session.go_away(time_left_ms=20_000, resume_url=OTHER)
        await time.advance(10)
        replicas.session.close_socket(4000 + Code.GOING_AWAY)
        await time.advance(3000)
        *away, back = log.of(voxwire.ConnectionChanged)
        assert [one.state for one in away] == ["reconnecting", "reconnecting"]
        assert (back.state, back.attempt) == ("connected", 2)
        assert back.after_ms <= 1510
        await session.close()
        await log.over()


@virtual
async def test_a_network_that_is_away_is_tried_at_both_in_turn(time: VirtualTime) -> None:
    async with Replicas() as replicas, replicas.connect() as session:
        log = Log(session, time)
        replicas.session.go_away(time_left_ms=60_000, resume_url=OTHER)
        await time.advance(10)
        for server in (replicas.first, replicas.other):
            server.network.state = NetworkState.REFUSED
        replicas.session.drop()
        await time.advance(3000)
        assert replicas.urls[:6] == [OTHER, FIRST] * 3
        replicas.other.network.state = NetworkState.UP
        await time.advance(1300)
        assert replicas.urls[-1] == OTHER
        assert session.connection == "connected"
        await session.close()
        await log.over()


@virtual
async def test_a_session_that_nobody_has_is_over_once_the_first_url_has_said_so(
    time: VirtualTime,
) -> None:
    async with Replicas() as replicas, replicas.connect() as session:
        log = Log(session, time)
        for server in (replicas.first, replicas.other):
            server.refuse_with(Code.SESSION_EXPIRED)
        replicas.session.go_away(time_left_ms=60_000, resume_url=OTHER)
        await time.advance(10)
        replicas.session.drop()
        await log.over()
        assert replicas.urls == [OTHER, FIRST]
        assert isinstance(log.failure, voxwire.SessionError)
        assert log.failure.code is Code.SESSION_EXPIRED


@virtual
async def test_who_is_superseded_elsewhere_asks_nobody(time: VirtualTime) -> None:
    async with Replicas() as replicas, replicas.connect() as session:
        log = Log(session, time)
        replicas.other.refuse_with(Code.SUPERSEDED)
        replicas.session.go_away(time_left_ms=60_000, resume_url=OTHER)
        await time.advance(10)
        replicas.session.drop()
        await log.over()
        assert replicas.urls == [OTHER]
        assert isinstance(log.failure, voxwire.SessionError)
        assert log.failure.code is Code.SUPERSEDED


@virtual
async def test_without_a_url_nobody_moves_and_a_close_is_come_back_from(time: VirtualTime) -> None:
    async with Replicas() as replicas, replicas.connect() as session:
        log = Log(session, time)
        replicas.session.go_away(time_left_ms=0, resume_url=OTHER)
        await time.advance(200)
        replicas.session.go_away(time_left_ms=5000)
        await time.advance(4900)
        assert replicas.urls == [OTHER]
        replicas.session.close_socket(4000 + Code.GOING_AWAY)
        await time.advance(100)
        assert replicas.urls == [OTHER, FIRST]  # empty: where the program connected
        assert session.connection == "connected"
        replicas.first.session.finish(wire.EndReason.END_REASON_SERVER)
        await log.over()
        assert log.failure is None
        assert log.of(voxwire.SessionEnded)[0].reason == voxwire.EndReason.SERVER
        assert replicas.urls == [OTHER, FIRST]


@pytest.mark.parametrize(
    ("first", "named"),
    [
        ("wss://voxwire.test", OTHER),
        ("ws://voxwire.test", "ws://127.0.0.1:7860/v1/session"),
        ("ws://voxwire.test", "https://other.test/v1/session"),
        ("ws://voxwire.test", "ws://user@other.test/v1/session"),
    ],
)
@virtual
async def test_a_server_sends_nobody_out_of_tls_or_to_its_own_machine(
    time: VirtualTime, first: str, named: str
) -> None:
    async with Replicas() as replicas:
        async with voxwire.connect(first, environment=replicas.environment) as session:
            replicas.session.go_away(time_left_ms=0, resume_url=named)
            await time.advance(500)
            assert not replicas.urls
            replicas.session.drop()
            await time.advance(500)
            assert replicas.urls == [f"{first}/v1/session"]
            assert session.connection == "connected"


@virtual
async def test_a_session_that_is_not_to_be_had_back_stays(time: VirtualTime) -> None:
    async with Replicas() as replicas, replicas.connect(resume=False) as session:
        log = Log(session, time)
        replicas.session.go_away(time_left_ms=1000, resume_url=OTHER)
        await time.advance(5000)
        assert not replicas.urls
        assert log.of(voxwire.GoingAway)
        await session.close()
        await log.over()


@virtual
async def test_a_dead_url_that_is_named_again_moves_nobody(time: VirtualTime) -> None:
    async with Replicas() as replicas, replicas.connect() as session:
        refused(replicas)
        for _ in range(20):
            replicas.session.go_away(time_left_ms=0, resume_url=OTHER)
            await time.advance(500)
        assert replicas.urls == [OTHER, FIRST]
        assert session.connection == "connected"


@virtual
async def test_clients_do_not_all_move_at_once(time: VirtualTime) -> None:
    chance = random.Random(7)
    async with Replicas() as replicas, AsyncExitStack() as stack:
        around = replace(replicas.environment, jitter=chance.random)
        for _ in range(10):
            await stack.enter_async_context(replicas.connect(environment=around))
        began_ms = time.now_ms()
        for session in replicas.first.sessions:
            session.go_away(time_left_ms=8000, resume_url=OTHER)
        await time.advance(2700)  # from 0 to 2.5 s, looked at every 100 ms
        moved = sorted(at_ms - began_ms for at_ms, url in replicas.dialled if url == OTHER)
        assert len(moved) == 10
        assert moved[0] < 500
        assert moved[-1] > 1500
        assert max(sum(at <= one < at + 100 for one in moved) for at in moved) <= 3
