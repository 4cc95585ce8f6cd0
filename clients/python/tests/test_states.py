"""What a client is doing: every step of its table happens, and no other."""

import asyncio
from typing import Any

import pytest
from auto_world import World, fake_webrtc
from fake_rtc import Udp
from virtual import session_of, virtual

import voxwire
from voxwire._states import STEPS, ClientStates, ClientStatus, Step
from voxwire.testing import FakeServer, FakeSession, VirtualTime
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode

REFUSE = ClientStates.refuse  # conftest.py puts one in its place that fails the test
IDLE, CONNECTING, READY, RECONNECTING, CLOSING, CLOSED = ClientStatus
WENT_WELL = [CONNECTING, READY, CLOSING, CLOSED]


async def waits(session: FakeSession) -> None:
    await asyncio.Event().wait()


async def leaves(session: FakeSession) -> None:
    await session.text()


class History:
    """The states of all clients of a test, in order, without repetitions."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.states: list[ClientStatus] = []
        self.steps: set[tuple[Step, ClientStatus]] = set()
        take = ClientStates.take

        def noted(states: ClientStates, step: Step) -> bool:
            self.steps.add((step, states.status))
            changed = take(states, step)
            if changed:
                self.states.append(states.status)
            return changed

        monkeypatch.setattr(ClientStates, "take", noted)


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch) -> History:
    return History(monkeypatch)


@virtual
async def test_a_session_that_is_left_has_gone_through_four(history: History) -> None:
    async with FakeServer(waits) as server:
        connection = session_of(server)
        assert connection.status is IDLE
        async with connection as session:
            assert (connection.status, session.status, session.close_reason) == (READY, READY, None)
        assert (session.status, session.close_reason) == (CLOSED, voxwire.EndReason.CLIENT)
    assert history.states == WENT_WELL


@virtual
async def test_the_bot_ends_it(history: History) -> None:
    async with FakeServer(leaves) as server, session_of(server) as session:
        await session.send_text("bye")
        async for _ in session:
            pass
        assert session.status is CLOSED
    assert session.close_reason is voxwire.EndReason.BOT
    assert history.states == WENT_WELL


@virtual
async def test_a_program_sees_that_it_connects(history: History, time: VirtualTime) -> None:
    async with FakeServer(waits) as server:
        server.mute = True
        connection = session_of(server)
        entering = asyncio.create_task(connection.__aenter__())
        await time.advance(100)
        assert connection.status is CONNECTING
        entering.cancel()
        await asyncio.gather(entering, return_exceptions=True)
        assert connection.status is CLOSED
    assert history.states == [CONNECTING, CLOSING, CLOSED]


@virtual
async def test_what_is_refused_is_closed(history: History) -> None:
    async with FakeServer(waits) as server:
        server.refuse_with(ErrorCode.UNAUTHORIZED)
        connection = session_of(server)
        with pytest.raises(voxwire.SessionError):
            async with connection:
                pytest.fail("it is in")
        assert connection.status is CLOSED
        with pytest.raises(voxwire.UsageError):
            await connection.__aenter__()
    assert history.states == [CONNECTING, CLOSING, CLOSED]


@virtual
async def test_what_has_no_token_is_closed(history: History) -> None:
    def none(_: Any) -> str:
        raise LookupError("there is none")

    async with FakeServer(waits) as server:
        connection = session_of(server, token=none)
        with pytest.raises(voxwire.SessionError, match="no token"):
            await connection.__aenter__()
        assert connection.status is CLOSED
    assert history.states == [CONNECTING, CLOSING, CLOSED]


@virtual
async def test_a_lost_channel_is_reconnecting_until_channel_and_path_are_back(
    history: History, time: VirtualTime
) -> None:
    async with FakeServer(waits) as server, session_of(server) as session:
        server.deaf_to.add(wire.Carrier.CARRIER_WEBSOCKET)
        session.simulate.drop_control()
        await session.wait_for(voxwire.ConnectionChanged)
        assert session.status is RECONNECTING
        back = await session.wait_for(voxwire.ConnectionChanged)
        assert back.state is voxwire.ConnectionState.CONNECTED
        await time.advance(500)
        assert session.connection is voxwire.ConnectionState.CONNECTED
        assert session.status is RECONNECTING  # nobody hears anything yet
        server.deaf_to.clear()
        session.simulate.drop_control()  # and is asked for again
        await session.wait_for(voxwire.PathChanged, timeout_ms=60_000)
        assert session.status is READY
        report = session.report()
    assert history.states == [CONNECTING, READY, RECONNECTING, READY, CLOSING, CLOSED]
    told = [entry["status"] for entry in report["journal"] if entry["what"] == "status"]
    assert (report["session"]["status"], told) == ("ready", ["ready", "reconnecting", "ready"])


@virtual
async def test_a_path_that_is_lost_is_reconnecting_with_its_channel_in_hand(
    history: History,
) -> None:
    seen: list[ClientStatus] = []
    async with FakeServer(waits) as server, session_of(server) as session:
        close = wire.PathClose(path_id=1, reason="the test says so")
        server.session.send(path_close=close)
        session.on(voxwire.PathChanged, lambda _: seen.append(session.status))
        await session.wait_for(voxwire.PathChanged)
        await session.wait_for(voxwire.PathChanged)
        assert session.connection is voxwire.ConnectionState.CONNECTED
    assert history.states == [CONNECTING, READY, RECONNECTING, READY, CLOSING, CLOSED]


@virtual
async def test_a_session_that_is_not_had_back_has_expired(history: History) -> None:
    async with FakeServer(waits) as server:
        with pytest.raises(voxwire.VoxwireError) as caught:
            async with session_of(server) as session:
                server.grace_ms = 0
                server.refuse_with(ErrorCode.SESSION_EXPIRED)
                session.simulate.drop_control()
                async for _ in session:
                    pass
    assert caught.value.code == ErrorCode.SESSION_EXPIRED
    assert (session.status, session.close_reason) == (CLOSED, voxwire.EndReason.EXPIRED)
    assert history.states == [CONNECTING, READY, RECONNECTING, CLOSING, CLOSED]


@virtual
async def test_one_that_does_not_come_back_fails(history: History) -> None:
    async with FakeServer(waits) as server:
        with pytest.raises(voxwire.TransportError):
            async with session_of(server, resume=False) as session:
                session.simulate.drop_control()
                async for _ in session:
                    pass
    assert (session.status, session.close_reason) == (CLOSED, voxwire.EndReason.ERROR)
    assert history.states == WENT_WELL


def test_a_step_that_cannot_happen_is_logged_and_changes_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ClientStates, "refuse", REFUSE)
    for status in ClientStatus:
        for step in Step:
            states = ClientStates()
            states.status = status
            caplog.clear()
            changed = states.take(step)
            after = STEPS.get((step, status))
            assert states.status is (after or status)
            assert changed is (after is not None and after is not status)
            assert bool(caplog.records) is (after is None)


@virtual
async def test_every_step_of_the_table_happens(
    history: History, time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_webrtc(monkeypatch)
    world = World(udp=Udp(connected_ms=3000))  # WebRTC comes behind audio over the WebSocket
    async with world.talk(time) as (session, log):
        await time.advance(4000)
        assert [event.carrier for event in log.of(voxwire.PathChanged)] == ["websocket", "webrtc"]
        assert history.states == [CONNECTING, READY]

    async with FakeServer(leaves) as server, session_of(server) as session:
        server.session.drop()
        await session.send_text("bye")
        async for _ in session:  # it has ended before its path is back
            pass

    async with FakeServer(waits) as server, session_of(server) as session:
        session.simulate.drop_control()
        await session.wait_for(voxwire.ConnectionChanged)
        await session.wait_for(voxwire.PathChanged)
        server.refuse_with(ErrorCode.UNAUTHORIZED)
        with pytest.raises(voxwire.SessionError):
            await session_of(server).__aenter__()

    async with FakeServer(waits) as server, session_of(server) as session:
        server.network.latency_ms = 50
        closing = asyncio.create_task(session.close())
        await asyncio.sleep(0)
        session.simulate.drop_control()
        await closing
        await session.close()
    assert history.steps == set(STEPS)


def test_every_state_is_reached_and_only_the_last_is_an_end() -> None:
    assert {IDLE} | set(STEPS.values()) == set(ClientStatus)
    left = {before for (_, before), after in STEPS.items() if after is not before}
    assert left == set(ClientStatus) - {CLOSED}
