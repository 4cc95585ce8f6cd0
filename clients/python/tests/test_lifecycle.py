"""When things happen in the life of a session, to the millisecond: in virtual time.

The network takes 1 ms one way. So a dial takes 1, Hello and its answer 2, a path 2.
"""

import asyncio
from typing import Any

import pytest
from virtual import Log, session_of, virtual

import voxwire
from voxwire.testing import FakeServer, FakeSession, NetworkState, VirtualTime
from voxwire_protocol import wire

Code = voxwire.ErrorCode


async def failing(server: FakeServer, time: VirtualTime, **options: Any) -> tuple[Any, float]:
    """The error of a connect that fails, and after how long, milliseconds."""
    start_ms = time.now_ms()
    with pytest.raises(voxwire.VoxwireError) as caught:
        async with session_of(server, **options):
            pytest.fail("there is no session")
    return caught.value, time.now_ms() - start_ms


@virtual
async def test_a_session_is_ready_after_a_dial_and_one_round_trip(time: VirtualTime) -> None:
    start_ms = time.now_ms()
    async with FakeServer() as server, session_of(server, metadata={"a": 1}) as session:
        assert time.now_ms() - start_ms == 3
        assert server.network.dialled == ["ws://voxwire.test/v1/session"]
        assert (session.transport, session.connection) == ("websocket", "connected")
        assert server.session.hello.metadata_json == '{"a":1}'
        before_ms = time.now_ms()
    assert time.now_ms() - before_ms == 2  # Bye and its answer, with which the server closes
    assert server.session.over


@virtual
async def test_a_server_that_does_not_answer_hello_is_given_up_at_the_deadline(
    time: VirtualTime,
) -> None:
    async with FakeServer() as server:
        server.mute = True
        for timeout_s in (10.0, 0.25):
            error, took_ms = await failing(
                server, time, timeouts=voxwire.Timeouts(connect_ms=timeout_s * 1000)
            )
            assert error.code is Code.TIMEOUT
            assert "did not answer Hello" in error.reason
            assert took_ms == timeout_s * 1000 + 2  # the closing handshake


@virtual
async def test_a_dark_network_is_given_up_at_the_deadline(time: VirtualTime) -> None:
    async with FakeServer() as server:
        server.network.state = NetworkState.DARK
        error, took_ms = await failing(server, time, timeouts=voxwire.Timeouts(connect_ms=3_000))
        assert (error.code, took_ms) == (Code.TIMEOUT, 3000)
        assert "voxwire.test did not answer in time" in error.reason


@virtual
async def test_where_nothing_listens_that_is_said_at_once(time: VirtualTime) -> None:
    async with FakeServer() as server:
        server.network.state = NetworkState.REFUSED
        error, took_ms = await failing(server, time)
        assert (error.code, took_ms) == (Code.UNREACHABLE, 1)
        assert "is the server running?" in error.reason


@pytest.mark.parametrize("code", [Code.UNAUTHORIZED, Code.VERSION, Code.FORBIDDEN])
@virtual
async def test_a_refused_hello_is_its_error_at_once(time: VirtualTime, code: Code) -> None:
    async with FakeServer() as server:
        server.refuse_with(code, retry_after_ms=700)
        error, took_ms = await failing(server, time)
        assert (error.code, error.retry_after_ms, took_ms) == (code, 700, 3)
        assert len(server.hellos) == 1
        assert not server.sessions


@virtual
async def test_a_token_is_good_or_it_is_not(time: VirtualTime) -> None:
    async with FakeServer(tokens=("good",)) as server:
        error, _ = await failing(server, time, token="bad")
        assert error.code is Code.UNAUTHORIZED
        async with session_of(server, token="good"):
            pass


@virtual
async def test_a_path_that_is_never_ready_is_given_up_at_the_deadline(time: VirtualTime) -> None:
    async with FakeServer() as server:
        server.deaf_to.add(wire.Carrier.CARRIER_WEBSOCKET)
        error, took_ms = await failing(server, time, timeouts=voxwire.Timeouts(connect_ms=2_000))
        assert (error.code, took_ms) == (Code.TIMEOUT, pytest.approx(2000, abs=8))
        assert "media path did not become ready" in error.reason


@virtual
async def test_a_path_that_is_refused_is_its_error(time: VirtualTime) -> None:
    async with FakeServer() as server:
        server.refused_paths[wire.Carrier.CARRIER_WEBSOCKET] = Code.CAPACITY
        error, _ = await failing(server, time)
        assert error.code is Code.CAPACITY


@virtual
async def test_a_lost_connection_is_back_after_a_dial_and_a_round_trip(time: VirtualTime) -> None:
    async with FakeServer() as server, session_of(server) as session:
        log = Log(session, time)
        await time.advance(5000)
        server.session.drop()
        await time.advance(100)
        assert [(e.state, e.attempt, e.epoch) for e in log.of(voxwire.ConnectionChanged)] == [
            ("reconnecting", 1, 1),
            ("connected", 1, 2),
        ]
        assert log.at(voxwire.ConnectionChanged) == [5000, 5003]
        assert log.at(voxwire.PathChanged) == [0, 5005]
        assert log.of(voxwire.ConnectionChanged)[1].after_ms == 3
        await session.close()
        await log.over()


@virtual
async def test_tries_come_at_once_and_then_ever_more_slowly(time: VirtualTime) -> None:
    async with FakeServer() as server, session_of(server) as session:
        start_ms = time.now_ms()
        tries: list[float] = []
        server.network.state = NetworkState.REFUSED
        server.session.drop()
        log = Log(session, time)
        for _ in range(4600):
            await time.advance(1)
            if len(server.network.dialled) - 1 > len(tries):
                tries.append(time.now_ms() - start_ms)
        assert tries == [1, 100, 300, 800, 1800, 2800, 3800]
        server.network.state = NetworkState.UP
        await time.advance(1000)
        assert [it.attempt for it in log.of(voxwire.ConnectionChanged)] == [*range(1, 9), 8]
        assert log.at(voxwire.ConnectionChanged)[-1] == 4803
        await session.close()
        await log.over()


@pytest.mark.parametrize("given_s", [None, 7.0])
@virtual
async def test_a_session_that_is_not_back_in_time_has_expired(
    time: VirtualTime, given_s: float | None
) -> None:
    waits = voxwire.Timeouts(resume_ms=None if given_s is None else given_s * 1000)
    async with FakeServer() as server:
        server.grace_ms = 30_000
        async with session_of(server, timeouts=waits) as session:
            log = Log(session, time)
            server.network.state = NetworkState.REFUSED
            server.session.drop()
            start_ms = time.now_ms()
            await log.over()
            expected_ms = 30_000 if given_s is None else given_s * 1000
            assert time.now_ms() - start_ms == expected_ms
            assert isinstance(log.failure, voxwire.SessionError)
            assert log.failure.code is Code.SESSION_EXPIRED


@pytest.mark.parametrize("code", [Code.SESSION_EXPIRED, Code.UNAUTHORIZED, Code.SUPERSEDED])
@virtual
async def test_a_refused_resume_is_not_tried_again(time: VirtualTime, code: Code) -> None:
    async with FakeServer() as server, session_of(server) as session:
        log = Log(session, time)
        server.refuse_with(code)
        server.session.drop()
        await log.over()
        assert isinstance(log.failure, voxwire.SessionError)
        assert log.failure.code is code
        await time.advance(60_000)
        assert len(server.hellos) == 2


@virtual
async def test_a_busy_server_is_asked_again_when_it_says(time: VirtualTime) -> None:
    async with FakeServer() as server, session_of(server) as session:
        log = Log(session, time)
        server.refuse_with(Code.CAPACITY, retry_after_ms=4000)
        server.session.drop()
        await time.advance(100)
        server.welcome_again()
        await time.advance(10_000)
        assert log.at(voxwire.ConnectionChanged)[-1] == 3 + 4000 + 3
        assert len(server.hellos) == 3
        await session.close()
        await log.over()


@virtual
async def test_a_session_that_is_superseded_is_not_taken_back(time: VirtualTime) -> None:
    async with FakeServer() as server, session_of(server) as session:
        log = Log(session, time)
        server.session.close_socket(4000 + Code.SUPERSEDED, "superseded")
        await log.over()
        assert isinstance(log.failure, voxwire.SessionError)
        assert log.failure.code is Code.SUPERSEDED
        assert len(server.hellos) == 1


@virtual
async def test_without_resume_a_loss_is_the_end(time: VirtualTime) -> None:
    async with FakeServer() as server, session_of(server, resume=False) as session:
        log = Log(session, time)
        server.session.drop()
        await log.over()
        assert isinstance(log.failure, voxwire.TransportError)
        assert server.session.over
        assert log.timed[-1][0] == 0


@virtual
async def test_a_silent_server_is_missed_after_three_heartbeats(time: VirtualTime) -> None:
    async with FakeServer() as server:
        server.heartbeat_ms = 1000
        async with session_of(server) as session:
            log = Log(session, time)
            await time.advance(10_000)
            assert not log.of(voxwire.ConnectionChanged)
            server.session.hang()
            await time.advance(10_000)
            lost, back = log.at(voxwire.ConnectionChanged)
            # Counted from the last Pong, which is at most a heartbeat old; looked at every 100 ms.
            assert 12_000 <= lost <= 13_100
            assert back == lost + 3
            await session.close()
            await log.over()


@virtual
async def test_messages_that_are_not_acknowledged_move_to_a_second_socket(
    time: VirtualTime,
) -> None:
    async with FakeServer() as server, session_of(server) as session:
        log = Log(session, time)
        await time.advance(50)
        first = server.session._line.end
        server.session.hang()
        await session.send_text("stuck")
        await time.advance(1500)
        (changed,) = log.of(voxwire.ConnectionChanged)
        assert (changed.state, changed.attempt, changed.epoch) == ("connected", 0, 2)
        # 1 s since the last acknowledgement, looked at every 100 ms, and 3 ms of dialling
        assert log.at(voxwire.ConnectionChanged) == [1203]
        assert [text.text for text in server.session.said("send_text")] == ["stuck"]
        assert first is not server.session._line.end
        await session.close()
        await log.over()


@virtual
async def test_a_server_that_goes_away_is_followed_to_where_it_says(time: VirtualTime) -> None:
    async with FakeServer() as server, session_of(server) as session:
        log = Log(session, time)
        server.session.go_away(resume_url="ws://other.test/v1/session")
        await time.advance(10)
        server.session.close_socket(1012)
        await time.advance(100)
        assert server.network.dialled[1:] == ["ws://other.test/v1/session"]
        assert log.of(voxwire.GoingAway)
        assert [e.state for e in log.of(voxwire.ConnectionChanged)] == [
            *("reconnecting", "connected")
        ]
        await session.close()
        await log.over()


@virtual
async def test_what_was_said_meanwhile_arrives_once_and_in_order(time: VirtualTime) -> None:
    async with FakeServer() as server, session_of(server) as session:
        log = Log(session, time)
        await session.send_text("0")
        await time.advance(1)
        server.network.state = NetworkState.REFUSED
        server.session.drop()
        for number in range(1, 4):
            await time.advance(200)
            await session.send_text(str(number))
            server.session.send_message("note", number)
        server.network.state = NetworkState.UP
        await time.advance(2000)
        await session.send_text("4")
        await time.advance(10)
        assert [text.text for text in server.session.said("send_text")] == list("01234")
        assert [note.data for note in log.of(voxwire.AppMessage)] == [1, 2, 3]
        await session.close()
        await log.over()


@virtual
async def test_a_welcome_that_is_lost_costs_nothing(time: VirtualTime) -> None:
    async with FakeServer() as server:
        server.network.latency_ms = 10
        opening = asyncio.create_task(session_of(server).__aenter__())
        await time.advance(25)  # Hello arrived at 20, its Welcome is on its way
        server.network.cut()
        session = await opening
        assert len(server.sessions) == 1
        first, second = server.hellos
        assert first.attach_nonce == second.attach_nonce
        assert session.id == server.session.id
        await session.close()


@virtual
async def test_a_resume_that_comes_too_late_goes_on_from_a_snapshot(time: VirtualTime) -> None:
    async def bot(session: FakeSession) -> None:
        await session.say("one two three four five six seven eight", word_ms=300)

    async with FakeServer(bot) as server, session_of(server) as session:
        log = Log(session, time)
        await time.advance(1000)
        server.forgetful = True
        server.session.drop()
        await log.over()
        (skipped,) = log.of(voxwire.EventsSkipped)
        assert skipped.snapshot is not None
        assert skipped.snapshot.utterance_id == "u1"
        assert [word.index for word in log.of(voxwire.BotWord)] == list(range(8))
        assert log.of(voxwire.SessionEnded)[0].reason == "bot"


@virtual
async def test_a_voice_that_nobody_hears_for_2_s_is_cut(time: VirtualTime) -> None:
    async def bot(session: FakeSession) -> None:
        heard = await session.say(" ".join(["word"] * 50))
        assert heard.interrupted
        await session.text()

    async with FakeServer(bot) as server, session_of(server) as session:
        log = Log(session, time)
        await time.advance(1000)
        server.network.state = NetworkState.REFUSED
        server.session.drop()
        await time.advance(2500)
        server.network.state = NetworkState.UP
        await time.advance(2000)
        (cut,) = log.of(voxwire.Interrupted)
        assert cut.source == "gap"
        (ended,) = log.of(voxwire.UtteranceEnded)
        assert (ended.end, ended.heard_words) == ("interrupted", 5)  # as reported before the loss
        assert [word.index for word in log.of(voxwire.BotWord)] == list(range(7))  # 300 ms ahead
        assert [event.flush_id for event in log.of(voxwire.Flushed)] == [1]
        await session.close()
        await log.over()


@virtual
async def test_closing_gives_a_server_that_says_nothing_a_moment(time: VirtualTime) -> None:
    async with FakeServer() as server, session_of(server) as session:
        server.session.hang()
        start_ms = time.now_ms()
        await session.close()
        # Bye is waited for 1 s, then written out; closing the socket gets 0.5 s.
        assert time.now_ms() - start_ms == 1500


@virtual
async def test_leaving_while_reconnecting_is_quick(time: VirtualTime) -> None:
    async with FakeServer() as server, session_of(server) as session:
        server.network.state = NetworkState.DARK
        server.session.drop()
        await time.advance(5000)
        start_ms = time.now_ms()
        await session.close()
        assert time.now_ms() - start_ms <= 1000
        server.network.state = NetworkState.UP


@pytest.mark.parametrize("after_ms", [0, 1, 2, 500])
@virtual
async def test_a_connect_that_is_cancelled_leaves_nothing(time: VirtualTime, after_ms: int) -> None:
    async with FakeServer() as server:
        server.deaf_to.add(wire.Carrier.CARRIER_WEBSOCKET)
        opening = asyncio.create_task(session_of(server).__aenter__())
        await time.advance(after_ms)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await time.advance(100)
        assert not server.network.ends


@virtual
async def test_a_freeze_ends_when_it_was_said_to(time: VirtualTime) -> None:
    async with FakeServer() as server, session_of(server) as session:
        session.simulate.freeze(800)
        await session.send_text("late")
        start_ms = time.now_ms()
        while not server.session.said("send_text"):
            await time.advance(1)
        assert time.now_ms() - start_ms == 801


@virtual
async def test_a_failed_session_is_told_once(time: VirtualTime) -> None:
    async with FakeServer() as server, session_of(server) as session:
        log = Log(session, time)
        server.session.fail(Code.BOT_FAILED, "out of order")
        await log.over()
        assert isinstance(log.failure, voxwire.BotError)
        assert "out of order" in log.failure.reason


@virtual
async def test_a_session_lives_through_minutes_of_silence(
    time: VirtualTime,
) -> None:
    async with FakeServer() as server, session_of(server) as session:
        log = Log(session, time)
        await time.advance(120_000)
        assert session.connection == "connected"
        assert not log.of(voxwire.ConnectionChanged)
        assert log.of(voxwire.StateChanged)[-1].bot == "idle"
        await session.close()
        await log.over()
