"""Which path ``transport="auto"`` takes, when, and what it says of it: in virtual time.

The network takes 1 ms one way: a dial takes 1, Hello and its answer 2, a path over the control
channel 2 more. WebRTC is `fake_rtc`; with the real one: tests/integration/test_auto.py and
tests/faults/test_udp_blocked.py.
"""

import asyncio
import importlib.util
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from fake_rtc import FakePeer, Udp
from virtual import Log, virtual

import voxwire
from voxwire._remembered import HELD_MS
from voxwire.testing import FakeServer, VirtualTime
from voxwire_protocol import wire

Why = voxwire.FallbackReason
Code = voxwire.ErrorCode
RTC, WS = wire.Carrier.CARRIER_WEBRTC, wire.Carrier.CARRIER_WEBSOCKET

Path = tuple[float, str, str | None]
"""When another path was in use, milliseconds; its carrier; why it is no better one."""


@dataclass
class World:
    """A server and the network to it."""

    server: FakeServer = field(default_factory=FakeServer)
    udp: Udp = field(default_factory=Udp)

    def __post_init__(self) -> None:
        self.udp.serve(self.server)
        FakePeer.udp = self.udp

    def connect(self, **options: Any) -> voxwire.Connection:
        around = replace(self.server.environment, webrtc=True)
        return voxwire.connect(self.server.url, environment=around, **options)

    @asynccontextmanager
    async def talk(self, time: VirtualTime, **options: Any) -> Any:
        """A session; its log begins with the connect."""
        start_ms = time.now_ms()
        async with self.server, self.connect(**options) as session:
            log = Log(session, time, start_ms=start_ms)
            await time.settle()
            yield session, log
            await session.close()
            await log.over()

    def asked(self) -> list[wire.Carrier.ValueType]:
        """What the newest session asked for, in order."""
        return [opened.carrier for opened in self.server.session.said("path_open")]


def paths(log: Log) -> list[Path]:
    """Every change of the path."""
    return [
        (at_ms, str(event.carrier), event.fallback and str(event.fallback))
        for at_ms, event in log.timed
        if isinstance(event, voxwire.PathChanged)
    ]


@pytest.fixture(autouse=True)
def fake_rtc(monkeypatch: pytest.MonkeyPatch) -> None:
    import voxwire_protocol.rtc

    monkeypatch.setattr(voxwire_protocol.rtc, "Peer", FakePeer)
    monkeypatch.setattr("voxwire._rtc_stack._loaded", True)


@dataclass(frozen=True)
class Row:
    """What is wrong, and what comes of it.

    Attributes:
        udp: What UDP does.
        refused: What the server refuses.
        first: Paths of a session: since the connect.
        resumed: The same after its control channel was lost: since the loss.
        again: Paths of the next session.
        installed: Whether WebRTC is.
    """

    udp: Udp
    first: list[Path]
    resumed: list[Path]
    again: list[Path]
    refused: dict[wire.Carrier.ValueType, Code] = field(default_factory=dict)
    installed: bool = True


TABLE = {
    "all is well": Row(
        Udp(), first=[(64, "webrtc", None)], resumed=[], again=[(64, "webrtc", None)]
    ),
    "the extra is missing": Row(
        Udp(),
        installed=False,
        first=[(3, "websocket", "not_installed")],
        resumed=[(5, "websocket", "not_installed")],
        again=[(3, "websocket", "not_installed")],
    ),
    "no UDP packet comes through": Row(
        Udp(reached_ms=None, connected_ms=None),
        first=[(1505, "websocket", "ice_failed")],
        resumed=[(5, "websocket", "ice_failed")],
        again=[(3, "websocket", "ice_failed")],
    ),
    "ICE fails outright": Row(
        Udp(reached_ms=None, connected_ms=None, failed_ms=200),
        first=[(205, "websocket", "ice_failed")],
        resumed=[(5, "websocket", "ice_failed")],
        again=[(3, "websocket", "ice_failed")],
    ),
    "the handshake never ends": Row(
        Udp(connected_ms=None),
        first=[(2255, "websocket", "dtls_failed")],
        resumed=[(5, "websocket", "dtls_failed")],
        again=[(3, "websocket", "dtls_failed")],
    ),
    "the handshake fails": Row(
        Udp(connected_ms=None, failed_ms=100),
        first=[(105, "websocket", "dtls_failed")],
        resumed=[(5, "websocket", "dtls_failed")],
        again=[(3, "websocket", "dtls_failed")],
    ),
    "the server never answers": Row(
        Udp(answers=False),
        first=[(3005, "websocket", "timed_out")],
        resumed=[(5, "websocket", "timed_out")],
        again=[(3, "websocket", "timed_out")],
    ),
    "the server has no WebRTC": Row(
        Udp(),
        refused={RTC: Code.UNSUPPORTED},
        first=[(5, "websocket", "not_offered")],
        resumed=[(5, "websocket", "not_offered")],
        again=[(3, "websocket", "not_offered")],
    ),
    "the server's extra is missing": Row(
        Udp(),
        refused={RTC: Code.MISSING_EXTRA},
        first=[(5, "websocket", "not_offered")],
        resumed=[(5, "websocket", "not_offered")],
        again=[(3, "websocket", "not_offered")],
    ),
    "the server refuses this path": Row(
        Udp(),
        refused={RTC: Code.RATE_LIMITED},
        first=[(5, "websocket", "refused")],
        resumed=[(5, "websocket", "refused")],
        again=[(3, "websocket", "refused")],
    ),
    "the socket may carry no audio": Row(
        Udp(),
        refused={WS: Code.UNSUPPORTED},
        first=[(64, "webrtc", None)],
        resumed=[],
        again=[(64, "webrtc", None)],
    ),
    "the socket may carry no audio, and WebRTC is slow": Row(
        Udp(reached_ms=2000, connected_ms=2500),
        refused={WS: Code.UNSUPPORTED},
        first=[(2504, "webrtc", None)],
        resumed=[],
        again=[(2504, "webrtc", None)],
    ),
    "WebRTC comes when the fallback has begun": Row(
        Udp(reached_ms=2000, connected_ms=2500),
        first=[(1505, "websocket", "ice_failed"), (2504, "webrtc", None)],
        resumed=[],
        again=[(1505, "websocket", "ice_failed"), (2504, "webrtc", None)],
    ),
}


@pytest.mark.parametrize("name", TABLE)
@virtual
async def test_auto_takes_the_best_path_there_is_and_says_why_it_is_no_better_one(
    time: VirtualTime, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    row = TABLE[name]
    world = World(udp=replace(row.udp, peers=[]))
    world.server.refused_paths = dict(row.refused)
    if not row.installed:
        find_spec = importlib.util.find_spec
        monkeypatch.setattr(
            "voxwire._options.find_spec", lambda it: None if it == "aiortc" else find_spec(it)
        )
    async with world.talk(time) as (session, log):
        await time.advance(10_000)
        assert paths(log) == row.first
        assert session.transport == row.first[-1][1]
        lost_ms = time.now_ms() - log.start_ms
        world.server.session.drop()
        await time.advance(4000)
        after = [(at_ms - lost_ms, *rest) for at_ms, *rest in paths(log)[len(row.first) :]]
        assert after == row.resumed
    async with world.talk(time) as (session, log):
        await time.advance(4000)
        assert paths(log) == row.again
    assert all(peer.closed for peer in world.udp.peers)


@virtual
async def test_a_network_that_heals_gets_webrtc_again_in_the_session_and_in_the_next_one(
    time: VirtualTime,
) -> None:
    world = World()
    world.udp.block()
    async with world.talk(time) as (_, log):
        await time.advance(20_000)
        assert world.asked() == [RTC, WS]
        world.udp.heal()
        await time.advance(20_000)
        # tried on for 8 s, and again 15 s later
        assert paths(log)[1:] == [(23_066, "webrtc", None)]
    async with world.talk(time) as (_, log):
        assert world.asked() == [RTC]


@virtual
async def test_a_failure_is_forgotten_after_five_minutes(time: VirtualTime) -> None:
    world = World()
    world.udp.block()
    async with world.talk(time):
        pass
    await time.advance(HELD_MS - 3000)
    async with world.talk(time):
        assert world.asked() == [WS]
    await time.advance(3000)
    world.udp.heal()
    async with world.talk(time) as (_, log):
        assert paths(log) == [(64, "webrtc", None)]


@virtual
async def test_a_failure_is_that_of_one_server(time: VirtualTime) -> None:
    world = World()
    world.udp.block()
    async with world.talk(time):
        pass
    world.server.url = "ws://another.test"
    async with world.talk(time):
        assert world.asked() == [RTC, WS]


@virtual
async def test_udp_that_is_blocked_later_is_websocket_in_the_same_session(
    time: VirtualTime,
) -> None:
    world = World()
    async with world.talk(time) as (_, log):
        await time.advance(5000)
        world.udp.block()
        await time.advance(5000)
        [_, (fell_back_ms, *fallback)] = paths(log)
        assert fallback == ["websocket", "ice_failed"]
        # silence is noticed within 1.25 s, another WebRTC path is given 0.7 s: the voice waits 2 s
        assert fell_back_ms - log.start_ms < 5000 + 2000
        world.udp.heal()
        await time.advance(30_000)
        assert [carrier for _, carrier, _ in paths(log)] == ["webrtc", "websocket", "webrtc"]
        assert not log.of(voxwire.ConnectionChanged)


@virtual
async def test_a_pipeline_that_starts_slowly_is_no_reason_to_fall_back(time: VirtualTime) -> None:
    world = World(udp=Udp(pipeline_ms=6000))
    async with world.talk(time) as (_, log):
        assert paths(log) == [(6064, "webrtc", None)]
        assert world.asked() == [RTC]


@virtual
async def test_on_the_slowest_network_audio_flows_within_six_seconds(time: VirtualTime) -> None:
    """A round trip of half a second, and a server that never answers for WebRTC."""
    world = World(udp=Udp(answers=False))
    world.server.network.latency_ms = 250
    async with world.talk(time) as (_, log):
        [(ready_ms, *_)] = paths(log)
        assert ready_ms < 6000


@virtual
async def test_a_path_that_became_ready_as_it_was_given_up_is_not_taken_for_the_one_in_use(
    time: VirtualTime,
) -> None:
    """To the server it has replaced the one in use: which is asked for anew."""
    world = World(udp=Udp(reached_ms=7000, connected_ms=7999.5))
    async with world.talk(time) as (_, log):
        await time.advance(20_000)
        assert [carrier for _, carrier, _ in paths(log)] == ["websocket", "websocket"]
        assert world.server.session.path_id == log.of(voxwire.PathChanged)[-1].path_id


@virtual
async def test_where_nothing_carries_audio_the_sockets_refusal_is_the_error(
    time: VirtualTime,
) -> None:
    world = World()
    world.udp.block()
    world.server.refused_paths = {WS: Code.CAPACITY}
    start_ms = time.now_ms()
    async with world.server:
        with pytest.raises(voxwire.SessionError) as caught:
            async with world.connect():
                pytest.fail("there is no session")
    assert caught.value.code is Code.CAPACITY
    assert time.now_ms() - start_ms < 8100
    assert all(peer.closed for peer in world.udp.peers)


@pytest.mark.parametrize("after_ms", [1, 3, 100, 1504, 1600])
@virtual
async def test_a_connect_that_is_cancelled_leaves_nothing_behind(
    time: VirtualTime, after_ms: int
) -> None:
    world = World()
    world.udp.block()
    world.server.deaf_to.add(WS)
    async with world.server:
        connecting = asyncio.create_task(world.connect().__aenter__())
        await time.advance(after_ms)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
    assert all(peer.closed for peer in world.udp.peers)


@virtual
async def test_who_asks_for_one_carrier_gets_it_or_an_error_and_no_reason(
    time: VirtualTime,
) -> None:
    world = World()
    world.udp.block()
    async with world.talk(time, transport="websocket") as (_, log):
        assert paths(log) == [(3, "websocket", None)]
    async with world.server:
        with pytest.raises(voxwire.TransportError, match="did not become ready"):
            async with world.connect(transport="webrtc"):
                pytest.fail("there is no session")
        assert world.asked() == [RTC]


@virtual
async def test_webrtc_that_was_being_tried_is_given_up_with_the_control_channel(
    time: VirtualTime,
) -> None:
    world = World()
    world.udp.block()
    async with world.talk(time):
        await time.advance(3000)
        world.server.session.drop()
        await time.advance(100)
        assert world.udp.peers[0].closed
        assert world.asked() == [RTC, WS, WS]
        given_up = [close.path_id for close in world.server.session.said("path_close")]
        assert given_up == [1]


@virtual
async def test_a_stack_that_loads_slowly_is_not_waited_for(
    time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def load() -> None:
        await asyncio.sleep(5)

    monkeypatch.setattr("voxwire._webrtc_path.load", load)
    world = World()
    async with world.talk(time) as (_, log):
        await time.advance(6000)
        assert paths(log) == [(3005, "websocket", "timed_out"), (5064, "webrtc", None)]


@virtual
async def test_a_stack_that_cannot_be_loaded_is_as_good_as_none(
    time: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load() -> None:
        raise ImportError("libavcodec is not there")

    monkeypatch.setattr("voxwire._rtc_stack._loaded", False)
    monkeypatch.setattr("voxwire._rtc_stack._load", load)
    world = World()
    async with world.talk(time) as (_, log):
        [event] = log.of(voxwire.PathChanged)
        assert (event.carrier, event.fallback) == ("websocket", "not_installed")
        assert "libavcodec is not there" in event.fallback_detail
