"""``transport="auto"`` while the network changes, and at moments that are close to each other."""

import asyncio

import pytest
from auto_world import RTC, WS, World, fake_webrtc, paths
from fake_rtc import Udp
from virtual import Log, virtual

import voxwire
from voxwire._remembered import HELD_MS
from voxwire.testing import VirtualTime

Code = voxwire.ErrorCode


@pytest.fixture(autouse=True)
def _webrtc(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_webrtc(monkeypatch)


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


@pytest.mark.parametrize("connected_ms", [1498, 1499, 1499.5, 1500, 1500.5, 1501, 1502, 1503])
@virtual
async def test_when_both_are_ready_at_once_both_sides_use_the_same_path(
    time: VirtualTime, connected_ms: float
) -> None:
    world = World(udp=Udp(reached_ms=None, connected_ms=connected_ms))
    async with world.talk(time) as (_, log):
        await time.advance(8000)
        assert world.server.session.path_id == log.of(voxwire.PathChanged)[-1].path_id


@virtual
async def test_of_two_that_are_ready_at_once_the_newest_is_in_use_as_the_server_has_it(
    time: VirtualTime,
) -> None:
    world = World(udp=Udp(reached_ms=None, connected_ms=None))
    world.server.deaf_to.add(WS)
    async with world.server:
        connecting = asyncio.create_task(world.connect().__aenter__())
        await time.advance(1600)
        [peer], server = world.udp.peers, world.server.session
        peer.settle()
        await time.advance(1)
        server.path_ready(1)
        server.path_answer(2)
        server.path_ready(2, capture_index=0)
        session = await connecting
        log = Log(session, time)
        await time.advance(500)
        assert [event.path_id for event in log.of(voxwire.PathChanged)] == [2]
        assert server.path_id == 2
        await session.close()
        await log.over()


@virtual
async def test_a_late_path_that_only_the_server_has_is_replaced(time: VirtualTime) -> None:
    world = World(udp=Udp(reached_ms=None, connected_ms=None))
    async with world.talk(time) as (_, log):
        await time.advance(3000)
        assert [carrier for _, carrier, _ in paths(log)] == ["websocket"]
        world.udp.peers[0].ready()  # its handshake never ends here
        await time.advance(10_000)
        assert world.server.session.path_id == log.of(voxwire.PathChanged)[-1].path_id
