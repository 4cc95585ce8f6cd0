"""Hello is answered with where the session is, or with a word of a server that leaves."""

import asyncio
from collections.abc import Callable

import pytest
from replicas import DEAD, FIRST, OTHER, Code, Replicas, mute
from virtual import Log, virtual

import voxwire
from voxwire.testing import FakeServer, VirtualTime

THIRD = "ws://third.test/v1/session"


@virtual
async def test_hello_is_answered_with_where_the_session_is(time: VirtualTime) -> None:
    async with Replicas() as replicas, replicas.connect() as session:
        log = Log(session, time)
        replicas.first.owner_url = OTHER
        replicas.session.drop()
        await time.advance(500)
        assert replicas.urls == [FIRST, OTHER]
        assert log.of(voxwire.ConnectionChanged)[-1].state == "connected"
        assert log.at(voxwire.ConnectionChanged)[-1] < 200
        await session.close()
        await log.over()


@virtual
async def test_who_is_sent_on_goes_there_next(time: VirtualTime) -> None:
    async with Replicas() as replicas, replicas.connect() as session:
        replicas.session.go_away(time_left_ms=60_000, resume_url=OTHER)
        await time.advance(10)
        replicas.other.owner_url = THIRD
        replicas.session.drop()
        await time.advance(500)
        assert replicas.urls == [OTHER, THIRD]
        assert session.connection == "connected"


@virtual
async def test_a_first_hello_is_said_where_the_server_says(time: VirtualTime) -> None:
    async with Replicas() as replicas:
        replicas.first.owner_url = OTHER
        async with replicas.connect() as session:
            assert replicas.urls == [OTHER]
            assert session.connection == "connected"
            (there,) = replicas.other.hellos
            assert there.attach_nonce == replicas.first.hellos[0].attach_nonce


@pytest.mark.parametrize("dies", DEAD)
@virtual
async def test_a_first_hello_that_is_sent_to_a_dead_url_comes_back(
    time: VirtualTime, dies: Callable[[Replicas], None]
) -> None:
    async with Replicas() as replicas:
        dies(replicas)
        replicas.first.owner_url = OTHER
        connecting = asyncio.create_task(replicas.connect().__aenter__())
        await time.advance(50)
        replicas.first.owner_url = ""
        await time.advance(2000)
        *elsewhere, back = replicas.urls
        assert {*elsewhere} == {OTHER}  # beside a dial that takes long there is another one
        assert back == FIRST
        await (await connecting).close()


@virtual
async def test_a_first_hello_that_is_superseded_elsewhere_is_said_nowhere_else(
    time: VirtualTime,
) -> None:
    async with Replicas() as replicas:
        replicas.other.refuse_with(Code.SUPERSEDED)
        replicas.first.owner_url = OTHER
        with pytest.raises(voxwire.SessionError) as caught:
            async with replicas.connect():
                pytest.fail("there is no session")
        assert caught.value.code is Code.SUPERSEDED
        assert replicas.urls == [OTHER]


@virtual
async def test_what_was_said_before_is_not_why_a_connect_takes_too_long(time: VirtualTime) -> None:
    async with Replicas() as replicas:
        mute(replicas)
        replicas.first.owner_url = OTHER
        connection = replicas.connect(timeouts=voxwire.Timeouts(connect_ms=2500))
        connecting = asyncio.create_task(connection.__aenter__())
        await time.advance(50)
        replicas.first.owner_url, replicas.first.mute = "", True
        with pytest.raises(voxwire.VoxwireError) as caught:
            await connecting
        assert caught.value.code is Code.TIMEOUT
        assert replicas.urls == [OTHER, FIRST]


@virtual
async def test_two_servers_that_send_on_to_each_other_are_no_storm(time: VirtualTime) -> None:
    async with Replicas() as replicas, replicas.connect() as session:
        replicas.first.owner_url, replicas.other.owner_url = OTHER, FIRST
        replicas.session.drop()
        await time.advance(10_000)
        assert 8 <= len(replicas.urls) <= 30
        replicas.other.owner_url = ""
        await time.advance(3000)
        assert session.connection == "connected"


@virtual
async def test_a_first_hello_is_asked_again_while_the_server_leaves(time: VirtualTime) -> None:
    start_ms = time.now_ms()
    async with FakeServer() as server:
        server.refuse_with(Code.GOING_AWAY, retry_after_ms=1000)
        connection = voxwire.connect(server.url, environment=server.environment, token="t")
        connecting = asyncio.create_task(connection.__aenter__())
        await time.advance(1500)
        server.welcome_again()  # behind the load balancer it is another replica
        session = await time.until(connecting)
        assert time.now_ms() - start_ms == 3 + 1000 + 3 + 1000 + 5
        assert len({hello.attach_nonce for hello in server.hellos}) == 1
        assert [hello.token for hello in server.hellos] == ["t"] * 3
        await session.close()


@virtual
async def test_a_server_that_leaves_is_asked_no_longer_than_connecting_may_take(
    time: VirtualTime,
) -> None:
    start_ms = time.now_ms()
    async with FakeServer() as server:
        server.refuse_with(Code.GOING_AWAY)
        with pytest.raises(voxwire.SessionError) as caught:
            async with voxwire.connect(
                server.url,
                environment=server.environment,
                timeouts=voxwire.Timeouts(connect_ms=2000),
            ):
                pytest.fail("there is no session")
        assert caught.value.code is Code.GOING_AWAY
        assert time.now_ms() - start_ms <= 2000
        assert len(server.hellos) == 5  # 0.1, 0.2, 0.5 and 1 s between them


@virtual
async def test_who_sends_on_is_not_dead(time: VirtualTime) -> None:
    async with Replicas() as replicas, replicas.connect() as session:
        replicas.other.owner_url = THIRD
        replicas.session.go_away(time_left_ms=0, resume_url=OTHER)
        await time.advance(500)
        assert replicas.urls == [OTHER, FIRST]
        replicas.other.owner_url = ""
        replicas.session.go_away(time_left_ms=0, resume_url=OTHER)
        await time.advance(500)
        assert replicas.urls == [OTHER, FIRST, OTHER]
        assert session.connection == "connected"
