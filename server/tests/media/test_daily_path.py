"""A path through a Daily room, alone: what it writes, when, and what it says of it."""

import asyncio
from typing import Any

import numpy as np
import pytest

from tests.support.fake_room import FakeDaily, FakeRoom
from tests.support.session_port import FakePort
from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.daily.rooms import PreparedRoom
from voxwire_server.media.daily import DailyPath
from voxwire_server.playout.placed import Playout
from voxwire_server.playout.sound import make_sound
from voxwire_server.ports import PathError, Report

RATE = 24_000
BLOCK = 480
URL = "https://x.daily.co/r"


class Rooms:
    """Whose the room is: notes that it is given up."""

    def __init__(self) -> None:
        self.given_up: list[str] = []

    def give_up(self, name: str) -> None:
        self.given_up.append(name)


class Scene:
    """A path, its room with the other in it, and its session's doors."""

    def __init__(
        self, time: VirtualTime, *, rate: int = RATE, stays: bool = False, **daily: Any
    ) -> None:
        self.time = time
        self.daily = FakeDaily(time, **daily)
        self.port = FakePort()
        self.playout = Playout(sample_rate=rate)
        self.rooms = Rooms()
        self.heard: list[bytes] = []
        self.gone_with: list[PathError] = []
        self.lost_since: list[float] = []
        self.in_use = True
        self.bot: FakeRoom = self.daily.make(send_rate=RATE, receive_rate=16_000, user_name="bot")
        self.path = DailyPath(
            3,
            sink=self,
            sound=make_sound(
                self.playout,
                time,
                sample_rate=RATE,
                wake=lambda: self.path.wake(),
                in_use=lambda: self.in_use,
            ),
            playout=self.playout,
            listener=self,
            port=self.port,
            room=self.bot,
            prepared=PreparedRoom("r", URL, "bot token", "user token"),
            rooms=self.rooms,  # type: ignore[arg-type]
            capture_rate=16_000,
            stays=stays,
        )

    # its sink and its listener

    def audio(self, pcm: bytes, timestamp: int | None = None) -> None:
        assert timestamp is None
        self.heard.append(pcm)
        self.playout.heard.peer_alive(self.time.now_ms())

    def report(self, report: Report) -> None:
        raise AssertionError("reports come by the control channel")

    def keys(self, digits: str) -> None:
        raise AssertionError("keys come by the control channel")

    def gone(self, error: PathError) -> None:
        self.gone_with.append(error)

    def lost(self, since_ms: float) -> None:
        self.lost_since.append(since_ms)

    async def returned(self) -> None:
        self.playout.rewind(self.time.now_ms())

    # what happens

    async def enter(self) -> FakeRoom:
        """The other enters, too, and the path is in use."""
        entering = asyncio.ensure_future(self.path.connected())
        user = self.daily.make(send_rate=16_000, receive_rate=RATE, user_name="user")
        await user.join(URL, "token")
        await entering
        self.attach()
        return user

    def attach(self, *, reports: bool = False) -> None:
        now = self.time.now_ms()
        self.playout.attach(now, reports=reports, way_ms=self.path.way_ms)
        self.path.wake()

    def place(self, num_samples: int, value: int = 5000, *, new: bool = True) -> int:
        pcm = np.full(num_samples, value, "<i2").tobytes()
        start = self.playout.place(pcm, self.time.now_ms(), new_stretch=new)
        self.path.wake()
        return start

    @property
    def anchors(self) -> list[tuple[int, bool]]:
        """Where sound begins (True) and where it has ended, ms."""
        said: list[wire.MediaAnchor] = self.port.of("media_anchor")
        assert all(a.estimated and a.WhichOneof("position") is None for a in said)
        return [(anchor.media_ms, bool(anchor.clock_rate)) for anchor in said]

    @property
    def written(self) -> list[int]:
        """Samples with sound in each block that has left."""
        return [int(np.count_nonzero(samples)) for _, samples in self.bot.sent]


@in_virtual_time
async def test_it_is_ready_when_both_are_in_the_room(time: VirtualTime) -> None:
    scene = Scene(time)
    entering = asyncio.ensure_future(scene.path.connected())
    await time.advance(5000)
    assert not entering.done()
    user = scene.daily.make(send_rate=16_000, receive_rate=RATE, user_name="user")
    await user.join(URL, "token")
    await time.settle()
    assert entering.done()
    await scene.path.close()
    assert scene.rooms.given_up == ["r"]
    await scene.path.close()
    assert scene.rooms.given_up == ["r"]


@pytest.mark.parametrize("who", ["bot", "user"])
@in_virtual_time
async def test_who_does_not_enter_has_a_deadline(time: VirtualTime, who: str) -> None:
    scene = Scene(time)
    scene.daily.unreachable = who == "bot"
    began = time.now_ms()
    with pytest.raises(PathError) as error:
        await scene.path.connected()
    assert error.value.code == wire.ErrorCode.ERROR_CODE_TIMEOUT
    assert time.now_ms() - began <= 21_000
    await scene.path.close()
    assert scene.rooms.given_up == ["r"]


@in_virtual_time
async def test_at_most_40_ms_are_inside_and_sound_has_no_gap(time: VirtualTime) -> None:
    scene = Scene(time)
    await scene.enter()
    start = scene.place(BLOCK * 50)
    await time.advance(300)
    assert scene.bot.inside <= scene.bot.most_inside == 2
    await time.advance(1500)
    begins = [at for at, _ in scene.bot.sent]
    assert np.diff(begins).tolist() == [20.0] * 49
    assert scene.written == [BLOCK] * 50
    start_ms = start * 1000 // RATE
    assert scene.anchors == [(start_ms, True), (start_ms + 1000, False)]


@in_virtual_time
async def test_a_voice_that_comes_in_bits_is_put_together(time: VirtualTime) -> None:
    scene = Scene(time)
    await scene.enter()
    scene.place(700)
    for _ in range(19):
        await time.advance(10)
        scene.place(240, new=False)
    await time.advance(500)
    assert sum(scene.written) == 700 + 19 * 240
    assert [n for n in scene.written[:-1] if n != BLOCK] == []


@in_virtual_time
async def test_a_rest_leaves_when_nothing_else_is_inside(time: VirtualTime) -> None:
    scene = Scene(time)
    await scene.enter()
    scene.place(100)
    await time.advance(200)
    assert scene.written == [100]
    assert len(scene.bot.sent[0][1]) == BLOCK


@in_virtual_time
async def test_a_cut_voids_what_was_taken_and_has_not_left(time: VirtualTime) -> None:
    scene = Scene(time)
    await scene.enter()
    scene.place(BLOCK * 20)
    await time.advance(110)
    cut = scene.playout.flush(time.now_ms())
    assert cut is not None
    before = len(scene.bot.sent)
    assert scene.path.void(cut) is None  # two blocks are inside: they leave
    await time.advance(200)
    assert len(scene.bot.sent) == before
    assert scene.anchors[-1] == (before * 20, False)


@in_virtual_time
async def test_what_waits_for_a_silence_ahead_of_it_can_be_cut(time: VirtualTime) -> None:
    scene = Scene(time)
    await scene.enter()
    first = scene.place(BLOCK * 20)
    await time.advance(110)
    cut = scene.playout.flush(time.now_ms())
    assert cut is not None
    scene.path.void(cut)
    scene.playout.finish_flush(cut, time.now_ms())
    second = scene.place(BLOCK * 20)
    assert second >= first + BLOCK * 20
    await time.advance(60)  # what was inside has left, and it waits
    before = len(scene.written)
    cut = scene.playout.flush(time.now_ms())
    assert cut is not None
    assert scene.path.void(cut) == second * 1000 / RATE
    await time.advance(500)
    assert len(scene.written) == before


@in_virtual_time
async def test_behind_a_cut_the_next_stretch_follows_a_silence(time: VirtualTime) -> None:
    scene = Scene(time)
    await scene.enter()
    scene.place(BLOCK * 20)
    await time.advance(110)
    cut = scene.playout.flush(time.now_ms())
    assert cut is not None
    scene.path.void(cut)
    scene.playout.finish_flush(cut, time.now_ms())
    scene.place(BLOCK * 5)
    await time.advance(500)
    begins = [at for at, _ in scene.bot.sent]
    assert 80 <= max(np.diff(begins)) <= 100
    assert [runs for _, runs in scene.anchors] == [True, False, True, False]


@in_virtual_time
async def test_before_it_is_in_use_and_when_it_is_closed_it_takes_nothing(
    time: VirtualTime,
) -> None:
    scene = Scene(time)
    scene.in_use = False
    await scene.enter()
    scene.place(BLOCK * 5)
    await time.advance(200)
    assert scene.written == []
    scene.in_use = True
    await scene.path.close()
    scene.path.wake()
    await time.advance(200)
    assert scene.written == []


@in_virtual_time
async def test_a_listener_who_cannot_play_is_kept_the_voice(time: VirtualTime) -> None:
    scene = Scene(time)
    user = await scene.enter()
    scene.playout.attach(time.now_ms(), reports=True, way_ms=100.0)
    start = scene.place(BLOCK * 50)
    await time.advance(300)
    scene.playout.heard.report(start * 1000 / RATE + 100, time.now_ms(), playing=False)
    now = time.now_ms()
    scene.playout.heard.report(start * 1000 / RATE + 100, now, playing=False, suspended=True)
    await time.advance(500)
    written = len(scene.written)
    assert written < 25
    scene.playout.heard.report(start * 1000 / RATE + 100, time.now_ms(), playing=False)
    await time.advance(2000)
    assert len(scene.written) == written + 45  # from where he was
    assert user.url


@in_virtual_time
async def test_the_position_runs_behind_by_the_way_to_the_ear(time: VirtualTime) -> None:
    """Of one who reports nothing: a sample is heard when it has left and the way is over."""
    scene = Scene(time, delay_ms=40)
    user = await scene.enter()
    user_heard: list[tuple[float, bytes]] = []
    user.on_audio(lambda pcm: user_heard.append((time.now_ms(), pcm)))
    start_ms = scene.place(BLOCK * 50) * 1000 / RATE
    off: list[float] = []
    for _ in range(40):
        await time.advance(20)
        sounded = sum(np.count_nonzero(np.frombuffer(p, "<i2")) for _, p in user_heard)
        if sounded:
            believed_ms, source = scene.playout.heard.at(time.now_ms())
            assert source == wire.HeardSource.HEARD_SOURCE_SERVER_CLOCK
            off.append(believed_ms - start_ms - sounded * 1000 / RATE)
    print(f"{min(off):+.0f} to {max(off):+.0f} ms off")
    assert max(map(abs, off)) <= 45


@in_virtual_time
async def test_silence_for_long_is_no_sign_of_life(time: VirtualTime) -> None:
    scene = Scene(time)
    user = await scene.enter()
    await time.advance(5000)
    assert 0 < len(scene.heard) < 60
    heard = len(scene.heard)
    for _ in range(5):
        user.write(np.full(320, 100, "<i2").tobytes(), bool)
    await time.advance(500)
    assert len(scene.heard) > heard + 5


@in_virtual_time
async def test_who_is_out_of_reach_is_written_nothing_and_hears_the_rest_later(
    time: VirtualTime,
) -> None:
    scene = Scene(time)
    user = await scene.enter()
    scene.attach(reports=True)
    start = scene.place(BLOCK * 200)
    await time.advance(200)
    scene.playout.heard.report(start * 1000 / RATE + 100, time.now_ms(), playing=True)
    user_at = time.now_ms()
    await time.advance(4000)  # silence comes, which may be nobody's
    assert scene.lost_since == [pytest.approx(user_at + 1000, abs=1200)]
    written = len(scene.written)
    await time.advance(1000)
    assert len(scene.written) == written
    for _ in range(3):
        user.write(np.full(320, 100, "<i2").tobytes(), bool)
    await time.advance(8000)
    assert len(scene.written) > 200


@in_virtual_time
async def test_who_stays_until_daily_says_otherwise_may_be_muted_and_hears_all(
    time: VirtualTime,
) -> None:
    scene = Scene(time, stays=True)
    await scene.enter()
    await time.advance(5000)  # long after the silence that it hears was somebody's
    scene.place(BLOCK * 500)
    await time.advance(12_000)
    assert scene.written == [BLOCK] * 500
    assert scene.lost_since == []
    assert scene.playout.backlog_ms(time.now_ms()) == 0


@in_virtual_time
async def test_something_live_does_not_stay_behind(time: VirtualTime) -> None:
    scene = Scene(time)
    await scene.enter()
    for n in range(120):  # a burst of 400 ms, then as it happens
        pcm = np.full(BLOCK * (20 if n == 10 else 1), 5000, "<i2").tobytes()
        scene.playout.place(pcm, time.now_ms(), new_stretch=n == 0, live=True)
        scene.path.wake()
        await time.advance(20)
    assert scene.playout.live_backlog_samples() <= 3 * BLOCK
    # once: the silence that dropping it takes is not dropped again and again
    assert len([runs for _, runs in scene.anchors if runs]) == 2


@in_virtual_time
async def test_the_end_of_the_room_is_the_paths(time: VirtualTime) -> None:
    scene = Scene(time)
    await scene.enter()
    scene.bot.lose("this side was put out of the Daily room")
    [error] = scene.gone_with
    assert error.code == wire.ErrorCode.ERROR_CODE_CONNECTION_LOST
    await scene.path.close()
    scene.bot.lose()
    assert len(scene.gone_with) == 1
