"""A listener or a path that comes back, or goes, in the middle of something."""

import asyncio

import pytest

from tests.support.stage import CONNECTION_LOST, WEBRTC, FakePath, Stage
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.playout.gap_rules import VoiceState
from voxwire_server.ports import PathError


@in_virtual_time
async def test_a_listener_who_returns_during_the_cut_hears_nothing_late(time: VirtualTime) -> None:
    """What comes from it says that it is there; what waits was cut all the same."""
    stage = Stage()
    stage.cut_takes_s = 0.2
    path = await stage.open(1, WEBRTC)
    stage.say(10_000)
    stage.report(0)
    await time.advance(0)
    stage.voice.lost(time.now_ms())
    await time.advance(2001)
    assert stage.voice.state is VoiceState.CUT
    path.sink.audio(bytes(320), 1)
    assert stage.voice.state is VoiceState.PLAYING
    began_ms = time.now_ms()
    await stage.voice.returned()
    assert time.now_ms() - began_ms > 100
    assert (len(stage.cuts), stage.voice.backlog_ms()) == (1, 0)


@in_virtual_time
async def test_a_suspension_that_is_over_while_its_listener_is_away_is_over(
    time: VirtualTime,
) -> None:
    stage = Stage(voice_gap_ms=2000, suspended_ms=3000)
    await stage.open(1)
    stage.say(10_000)
    stage.report(0)
    stage.report(100, suspended=True)
    await time.advance(2500)
    stage.voice.lost(time.now_ms())
    await time.advance(1000)
    stage.report(100, suspended=True)
    await time.advance(0)
    assert (stage.voice.state, stage.voice.waits, len(stage.cuts)) == (VoiceState.CUT, False, 1)


@in_virtual_time
async def test_one_hiccup_after_a_long_suspension_does_not_make_it_a_new_one(
    time: VirtualTime,
) -> None:
    stage = Stage(voice_gap_ms=2000, suspended_ms=60_000)
    await stage.open(1)
    stage.say(1000)
    stage.report(0)
    for _ in range(70):
        stage.report(100, suspended=True)
        await time.advance(1000)
    last_ms = time.now_ms()
    await time.advance(2500)
    stage.voice.watch(last_ms)
    for _ in range(10):
        stage.report(100, suspended=True)
        await time.advance(100)
    assert not stage.voice.waits


@in_virtual_time
async def test_a_path_that_is_gone_while_it_connects_is_refused_and_closed(
    time: VirtualTime,
) -> None:
    """Its opener may say so itself, in the task that opens it."""
    stage = Stage()
    closed: list[bool] = []

    async def closing() -> None:
        await asyncio.sleep(0.01)
        closed.append(True)

    async def connects() -> None:
        stage.paths[1].closing = closing()
        stage.paths[1].sink.gone(PathError(CONNECTION_LOST, "hung up"))

    stage.connects = connects
    await stage.open(1, WEBRTC)
    await time.advance(1000)
    assert stage.closes == [(1, CONNECTION_LOST)]
    assert closed


@pytest.mark.parametrize("over", [True, False], ids=["is over", "ends before it is used"])
@in_virtual_time
async def test_a_path_that_is_given_to_a_session_that(time: VirtualTime, *, over: bool) -> None:
    stage = Stage()
    paths = stage.voice.paths
    path = FakePath(7, paths.sink(7), paths.sound(7, 8000))
    stage.port.over = over
    paths.use(path)
    stage.port.cancel()
    await asyncio.sleep(0)
    await paths.release()
    assert path.closed


@in_virtual_time
async def test_a_session_that_is_gone_takes_no_path(time: VirtualTime) -> None:
    stage = Stage()
    paths = stage.voice.paths
    path = FakePath(7, paths.sink(7), paths.sound(7, 8000))
    await paths.release()
    with pytest.raises(LookupError, match="path 7"):
        paths.use(path)


@in_virtual_time
async def test_a_path_that_is_given_up_before_it_began_to_open_is_forgotten(
    time: VirtualTime,
) -> None:
    stage = Stage()
    for path_id in range(1, 20):
        stage.voice.paths.open(wire.PathOpen(path_id=path_id, carrier=WEBRTC))
        stage.voice.paths.close(path_id)
        await time.advance(0)
    assert stage.closes == []
    await stage.open(20)
    assert stage.voice.path is stage.paths[20]


@in_virtual_time
async def test_a_path_that_is_gone_before_it_began_to_open_is_refused_and_closed(
    time: VirtualTime,
) -> None:
    """A carrier that is there already may hang up at once."""
    stage = Stage()
    path = FakePath(7, stage.voice.paths.sink(7), stage.voice.paths.sound(7, 8000))
    stage.voice.paths.use(path)
    path.sink.gone(PathError(CONNECTION_LOST, "hung up"))
    await time.advance(0)
    assert stage.closes == [(7, CONNECTION_LOST)]
    assert path.closed
