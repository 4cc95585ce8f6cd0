"""Which path ``transport="auto"`` takes, when, and what it says of it: in virtual time.

The network takes 1 ms one way: a dial takes 1, Hello and its answer 2, a path over the control
channel 2 more. WebRTC is `fake_rtc`; with the real one: tests/integration/test_auto.py and
tests/faults/test_udp_blocked.py.
"""

import importlib.util
from dataclasses import dataclass, field, replace

import pytest
from auto_world import RTC, WS, Path, World, fake_webrtc, paths
from fake_rtc import Udp
from virtual import virtual

import voxwire
from voxwire.testing import VirtualTime
from voxwire_protocol import wire

Code = voxwire.ErrorCode


@pytest.fixture(autouse=True)
def _webrtc(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_webrtc(monkeypatch)


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
