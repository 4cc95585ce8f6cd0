"""A server that leaves: who moves when, and the way back from where nobody answers."""

import asyncio
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
from virtual import Log, virtual

import voxwire
from voxwire.testing import Environment, FakeServer, FakeSession, NetworkState, VirtualTime
from voxwire.testing.network import End
from voxwire_protocol import wire

Code = voxwire.ErrorCode
FIRST = "ws://voxwire.test/v1/session"
OTHER = "ws://other.test/v1/session"


class SendsOn(FakeServer):
    """A replica of servers that have their sessions in common; some are elsewhere.

    Attributes:
        owner_url: Who has the session: every Hello is answered with that, while it is set.
    """

    owner_url = ""

    def _answer(self, end: End, hello: wire.Hello) -> bool:
        if not self.owner_url:
            return super()._answer(end, hello)
        away = wire.GoAway(reason="the session is elsewhere", resume_url=self.owner_url)
        action = wire.RecoveryAction.RECOVERY_ACTION_RESUME
        error = wire.Error(
            code=wire.ErrorCode.ERROR_CODE_GOING_AWAY, fatal=True, retryable=True, action=action
        )
        for said in (wire.Envelope(go_away=away), wire.Envelope(error=error)):
            end.write(said.SerializeToString())
        end.shut(4000 + error.code)
        return False


class Replicas:
    """Two servers with one store of sessions, each at its own name."""

    def __init__(self, bot: Callable[[FakeSession], Any] | None = None) -> None:
        self.first, self.other = (SendsOn(bot) if bot else SendsOn() for _ in range(2))
        self.other.sessions = self.first.sessions
        self.dialled: list[tuple[float, str]] = []

    @property
    def environment(self) -> Environment:
        async def dial(url: str, *, timeout_ms: int) -> End:
            self.dialled.append((self.first.clock.now_ms(), url))
            server = self.other if url == OTHER else self.first
            return await server.network.dial(url, timeout_ms=timeout_ms)

        return replace(self.first.environment, dial=dial)

    @property
    def urls(self) -> list[str]:
        """What was dialled after the connect."""
        return [url for _, url in self.dialled[1:]]

    @property
    def session(self) -> FakeSession:
        return self.first.session

    def connect(self, **options: Any) -> voxwire.Connection:
        options = {"environment": self.environment, **options}
        return voxwire.connect(self.first.url, **options)

    async def __aenter__(self) -> "Replicas":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.first.close()


def refused(replicas: Replicas) -> None:
    replicas.other.network.state = NetworkState.REFUSED


def dark(replicas: Replicas) -> None:
    replicas.other.network.state = NetworkState.DARK


def mute(replicas: Replicas) -> None:
    """It opens sockets and answers no Hello."""
    replicas.other.mute = True


def unknown(replicas: Replicas) -> None:
    """It has come back without its memory."""
    replicas.other.refuse_with(Code.SESSION_EXPIRED)


def not_let_in(replicas: Replicas) -> None:
    replicas.other.refuse_with(Code.FORBIDDEN)


def full(replicas: Replicas) -> None:
    replicas.other.refuse_with(Code.CAPACITY, retry_after_ms=60_000)


DEAD = [refused, dark, mute, unknown, not_let_in, full]


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
    third = "ws://third.test/v1/session"
    async with Replicas() as replicas, replicas.connect() as session:
        replicas.session.go_away(time_left_ms=60_000, resume_url=OTHER)
        await time.advance(10)
        replicas.other.owner_url = third
        replicas.session.drop()
        await time.advance(500)
        assert replicas.urls == [OTHER, third]
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


# the first connect


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
