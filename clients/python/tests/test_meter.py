"""`session.quality`: how well the audio flows, once a second, for those who ask."""

import json
from typing import Any

import pytest
from virtual import session_of, virtual

import voxwire
from voxwire._meter import Meter
from voxwire._opening import Opened
from voxwire._path import NOTHING, Arrived, arrived_at
from voxwire.testing import FakeServer, FakeSession, NetworkState, VirtualTime
from voxwire_protocol import wire
from voxwire_protocol.jitter import JitterStats
from voxwire_protocol.rtc.inbound import InboundStats

GRADE = voxwire.Grade


async def talks(session: FakeSession) -> None:
    while True:
        await session.say("one two three four five", word_ms=400)


@virtual
async def test_over_a_websocket_round_trip_and_buffer_are_known(time: VirtualTime) -> None:
    async with FakeServer(talks) as server, session_of(server) as session:
        assert session.quality.grade == GRADE.EXCELLENT
        await time.advance(3000)
        line = session.quality
        assert (line.transport, line.jitter_ms, line.loss) == ("websocket", None, None)
        assert line.round_trip_ms == session.round_trip_ms is not None
        assert 100 < line.buffered_ms <= 300
        assert line.concealed_ms == 0


@virtual
async def test_a_line_becomes_worse_as_its_round_trip_does_and_is_lost(time: VirtualTime) -> None:
    server = FakeServer(talks)
    server.network.latency_ms = 130
    async with server, session_of(server) as session:
        await time.advance(5000)
        assert (session.quality.grade, session.quality.round_trip_ms) == (GRADE.GOOD, 260)
        server.network.state = NetworkState.REFUSED
        server.network.cut()
        await time.advance(1500)
        assert (session.quality.grade, session.quality.transport) == (GRADE.LOST, "none")
        server.network.state = NetworkState.UP
        await time.advance(4000)
        assert session.quality.grade == GRADE.GOOD


@virtual
async def test_as_an_event_it_comes_once_a_second_to_those_who_ask_by_name(
    time: VirtualTime,
) -> None:
    async with FakeServer(talks) as server, session_of(server) as session:
        told: list[voxwire.Quality] = []
        everything: list[Any] = []
        off = session.on(voxwire.Quality, told.append)
        session.on(object, everything.append)
        stream, all_events = session.events(voxwire.Quality), session.events()
        began_ms = time.now_ms()
        assert (await session.wait_for(voxwire.Quality)).transport == "websocket"
        assert time.now_ms() - began_ms <= 1000
        await time.advance(4000)
        off()
        await time.advance(2000)
        assert 4 <= len(told) <= 5
        assert told[-1] is not session.quality
        stream.close()
        assert len([it async for it in stream]) == len(told) + 2
        all_events.close()
        others = [it async for it in all_events]
        assert others
        assert not [it for it in (*others, *everything) if isinstance(it, voxwire.Quality)]


@virtual
async def test_it_is_in_the_report(time: VirtualTime) -> None:
    async with FakeServer(talks) as server, session_of(server) as session:
        await time.advance(2000)
        told = json.loads(json.dumps(session.report()))["quality"]
        assert told["grade"] == "excellent"
        assert set(told) == {
            *("transport", "grade", "round_trip_ms", "jitter_ms", "loss", "buffered_ms"),
            "concealed_ms",
        }


class Packets:
    """A path over WebRTC whose packets a test counts."""

    carrier = wire.Carrier.CARRIER_WEBRTC

    def __init__(self, now: Arrived | None = NOTHING) -> None:
        self.now = now

    def arrived(self) -> Arrived | None:
        return self.now


def opened(path: Packets, path_id: int) -> Opened:
    return Opened(path_id, path, 24_000, wire.PathReady())  # type: ignore[arg-type]


def test_loss_is_of_the_last_second_and_what_was_concealed_of_the_session() -> None:
    path, other = Packets(), Packets(Arrived(10, 0, 0, 1.0))
    in_use = [opened(path, 1)]
    meter = Meter(
        opened=lambda: in_use[0],
        broken=lambda: False,
        player=lambda: None,
        round_trip_us=lambda: 42_500,
    )
    assert meter.look().loss is None
    path.now = Arrived(45, 5, 100, 12.0)
    line = meter.look()
    assert (line.loss, line.concealed_ms, line.grade) == (0.1, 100, GRADE.POOR)
    assert (line.jitter_ms, line.round_trip_ms, line.transport) == (12.0, 42.5, "webrtc")
    path.now = Arrived(95, 5, 100, 12.0)
    assert (meter.look().loss, meter.quality.concealed_ms) == (0.0, 100)
    in_use[0] = opened(other, 2)
    assert (meter.look().loss, meter.quality.concealed_ms) == (0.0, 100)
    other.now = Arrived(59, 1, 20, 1.0)
    assert (meter.look().loss, meter.quality.concealed_ms) == (pytest.approx(0.02), 120)
    in_use[0] = opened(Packets(None), 3)
    assert (meter.look().loss, meter.quality.concealed_ms) == (None, 120)


def test_packets_that_came_too_late_are_lost_and_twice_is_once() -> None:
    jitter = JitterStats(received=100, lost=6, late=4, duplicates=2, concealed_ms=80, target_ms=20)
    assert arrived_at(InboundStats(jitter, 0, 0, 3.5)) == Arrived(94, 6, 80, 3.5)
    assert arrived_at(None) == NOTHING
