"""A WebRTC path without WebRTC: a fake connection pulls a block every 20 ms of virtual time."""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

pytest.importorskip("aiortc")

from voxwire_protocol import wire
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.media.peer import Reachable
from voxwire_server.media.webrtc import WebRtcPath
from voxwire_server.playout.heard import OUT_OF_REACH_MS
from voxwire_server.playout.placed import Playout
from voxwire_server.ports import Cut, Format, Formats, PathError, Report

RATE = 24_000
BLOCK = 480
ORIGIN = 0xFFFF_F000
"""RTP timestamp of the track's first sample; it wraps soon."""
DEAD_MS = 10_000
OPUS = wire.Codec.CODEC_OPUS
FORMATS = Formats(capture=Format(OPUS, 16_000, 20), playout=Format(OPUS, RATE, 20))
LOST = wire.ErrorCode.ERROR_CODE_CONNECTION_LOST


class Track:
    """The connection: sends a block every 20 ms from :meth:`run` on."""

    def __init__(self, path_id: int, reachable: Reachable, /, **doors: Any) -> None:
        self.pull: Callable[[int, int], bytes | None] = doors["pull"]
        self.hear = doors["on_audio"]
        self.lose = doors["on_lost"]
        self.blocks: list[tuple[int, np.ndarray | None]] = []
        self.failure: PathError | None = None
        self.closed = 0
        self.next = 0
        self.late_ms = 0.0

    async def answer(self, offer: str) -> str:
        if self.failure is not None:
            raise self.failure
        return f"answer to {offer}"

    async def connected(self) -> None:
        if self.failure is not None:
            raise self.failure

    def rtp_timestamp(self, sample: int) -> int | None:
        return (ORIGIN + 2 * sample) & 0xFFFF_FFFF

    def block(self) -> None:
        pcm = self.pull(self.next, BLOCK)
        self.blocks.append((self.next, None if pcm is None else np.frombuffer(pcm, "<i2")))
        self.next += BLOCK

    async def close(self) -> None:
        self.closed += 1


class Session:
    """The session's doors: port, sink and listener."""

    def __init__(self, clock: VirtualTime) -> None:
        self.clock = clock
        self.playout = Playout(sample_rate=RATE)
        self.anchors: list[wire.MediaAnchor] = []
        self.heard: list[tuple[bytes, int | None]] = []
        self.told: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.gone_with: list[PathError] = []
        self.return_takes_ms = 0.0
        self.late_ms: list[float] = []

    def emit(self, **payload: Any) -> None:
        self.anchors.append(payload["media_anchor"])

    def emit_error(self, *_: Any, **__: Any) -> None:
        raise AssertionError("no error is expected")

    def end(self, *_: Any) -> None:
        raise AssertionError("the session does not end")

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self.tasks.append(asyncio.ensure_future(work))
        return self.tasks[-1]

    def late(self, late_ms: float) -> None:
        self.late_ms.append(late_ms)

    def audio(self, pcm: bytes, timestamp: int | None = None) -> None:
        self.heard.append((pcm, timestamp))
        self.playout.heard.peer_alive(self.clock.now_ms())

    def report(self, report: Report) -> None:
        raise AssertionError("reports come by the control channel")

    def keys(self, digits: str) -> None:
        raise AssertionError("keys come by the control channel")

    def gone(self, error: PathError) -> None:
        self.gone_with.append(error)

    def lost(self, since_ms: float) -> None:
        self.told.append(f"lost since {since_ms - START_MS:.0f}")

    async def returned(self) -> None:
        await self.clock.advance(self.return_takes_ms)
        self.playout.rewind(self.clock.now_ms())
        self.told.append("returned")


START_MS = VirtualTime().now_ms()


class Scene:
    """A path in use, its track and its session."""

    def __init__(self, clock: VirtualTime) -> None:
        self.clock = clock
        self.session = Session(clock)
        made: list[Track] = []

        def connect(*where: Any, **doors: Any) -> Track:
            made.append(Track(*where, **doors))
            return made[-1]

        self.path = WebRtcPath(
            7,
            sink=self.session,
            playout=self.session.playout,
            listener=self.session,
            port=self.session,
            formats=FORMATS,
            reachable=Reachable("127.0.0.1"),
            dead_after_ms=DEAD_MS,
            connect=connect,
        )
        (self.track,) = made

    async def begin(self) -> None:
        """Connect the path and put it in use."""
        assert await self.path.answer("offer") == "answer to offer"
        await self.path.connected()
        self.session.playout.attach(self.clock.now_ms(), reports=True)
        self.path.wake()

    def place(self, value: int, blocks: int, *, live: bool = False, new: bool = True) -> int:
        pcm = np.full(blocks * BLOCK, value, "<i2").tobytes()
        now = self.clock.now_ms()
        start = self.session.playout.place(pcm, now, new_stretch=new, live=live)
        self.path.wake()
        return start

    async def run(self, blocks: int, *, alive: bool = True) -> None:
        """Let the track send so many blocks; the user's audio comes beside them."""
        for _ in range(blocks):
            if alive:
                self.track.hear(np.zeros(320, np.int16), 0)
            self.track.block()
            await self.clock.advance(20)

    def sounding(self) -> list[tuple[int, int]]:
        """Number and value of each block that was no silence."""
        return [(at // BLOCK, int(pcm[0])) for at, pcm in self.track.blocks if pcm is not None]

    def position(self, block: int) -> int:
        """Where a block of the track stands on the media clock for a listener, ms."""
        ticks = ORIGIN + 2 * block * BLOCK
        known = [
            (delta, anchor)
            for anchor in self.session.anchors
            if (delta := (ticks - anchor.rtp_timestamp) & 0xFFFF_FFFF) < 1 << 31
        ]
        delta, anchor = min(known, key=lambda each: each[0])
        return anchor.media_ms + delta * 1000 // anchor.clock_rate


@in_virtual_time
async def test_voice_begins_behind_its_anchor_and_runs_on(time: VirtualTime) -> None:
    scene = Scene(time)
    await scene.begin()
    await scene.run(3)
    start_ms = scene.session.playout.to_ms(scene.place(1, 4))
    await scene.run(8)
    assert [value for _, value in scene.sounding()] == [1, 1, 1, 1]
    first = scene.sounding()[0][0]
    assert [scene.position(first + n) for n in range(4)] == [start_ms + 20 * n for n in range(4)]
    assert [(a.path_id, a.clock_rate) for a in scene.session.anchors] == [(7, 48_000)]


@in_virtual_time
async def test_before_it_is_in_use_and_after_it_is_closed_it_takes_nothing(
    time: VirtualTime,
) -> None:
    scene = Scene(time)
    await scene.path.answer("offer")
    await scene.path.connected()
    scene.session.playout.attach(time.now_ms(), reports=True)
    scene.session.playout.place(bytes(2 * BLOCK * 9), time.now_ms(), new_stretch=True)
    await scene.run(5)
    assert (scene.sounding(), scene.session.anchors) == ([], [])
    scene.path.wake()
    await scene.run(3)
    sounded = len(scene.sounding())
    assert sounded > 0
    await scene.path.close()
    await scene.run(3)
    assert len(scene.sounding()) == sounded
    assert scene.session.gone_with == []


@in_virtual_time
async def test_the_last_block_of_a_stretch_is_filled_up_with_silence(time: VirtualTime) -> None:
    scene = Scene(time)
    await scene.begin()
    await scene.run(1)
    pcm = np.full(100, 5, "<i2").tobytes()
    scene.session.playout.place(pcm, time.now_ms(), new_stretch=True)
    scene.path.wake()
    await scene.run(4)
    (block,) = [pcm for _, pcm in scene.track.blocks if pcm is not None]
    assert len(block) == BLOCK
    assert (block[:100] == 5).all()
    assert not block[100:].any()


@in_virtual_time
async def test_what_is_flushed_is_not_sent_and_the_next_stretch_has_its_own_anchor(
    time: VirtualTime,
) -> None:
    scene = Scene(time)
    await scene.begin()
    await scene.run(2)
    scene.place(1, 50)
    await scene.run(6)
    playout = scene.session.playout
    cut = playout.flush(time.now_ms())
    assert cut is not None
    scene.path.void(cut)
    playout.finish_flush(cut, time.now_ms())
    await scene.run(3)
    start_ms = playout.to_ms(scene.place(2, 3))
    await scene.run(6)
    assert [value for _, value in scene.sounding()][-4:] == [1, 2, 2, 2]
    first = next(number for number, value in scene.sounding() if value == 2)
    assert scene.position(first) == pytest.approx(start_ms, abs=1)


@in_virtual_time
async def test_a_live_source_that_is_behind_is_caught_up_with_in_one_step(
    time: VirtualTime,
) -> None:
    scene = Scene(time)
    await scene.begin()
    await scene.run(1)
    for number in range(1, 11):
        scene.place(number, 1, live=True, new=number == 1)
    values = iter(range(11, 500))
    for _ in range(60):
        scene.place(next(values), 1, live=True, new=False)
        await scene.run(1)
    backlog = scene.session.playout.live_backlog_samples()
    assert backlog <= 2 * BLOCK
    sent = [value for _, value in scene.sounding()]
    (jump,) = {after - before for before, after in pairwise(sent)} - {1}
    assert jump > 5
    blocks = [number for number, _ in scene.sounding()]
    assert blocks == list(range(blocks[0], blocks[0] + len(blocks)))  # and costs no silence
    ms = [scene.position(number) for number in blocks]
    assert ms[-1] - ms[0] == 20 * (sent[-1] - sent[0])


@in_virtual_time
async def test_how_late_a_block_of_the_voice_was_is_told_and_silence_is_not(
    time: VirtualTime,
) -> None:
    scene = Scene(time)
    await scene.begin()
    for number in range(10):
        if number == 3:
            scene.place(1, 4)
        scene.track.late_ms = 7.0 * number
        await scene.run(1)
    sent = [number for number, _ in scene.sounding()]
    assert len(sent) == 4
    assert scene.session.late_ms == [7.0 * number for number in sent]


# who listens


@in_virtual_time
async def test_a_listener_who_cannot_play_misses_nothing_and_is_told_anew(
    time: VirtualTime,
) -> None:
    scene = Scene(time)
    await scene.begin()
    await scene.run(2)
    scene.place(3, 20)
    await scene.run(5)
    heard = scene.session.playout.heard
    heard.report(40.0, time.now_ms(), playing=False, suspended=True)
    scene.path.wake()
    quiet = len(scene.sounding())
    await scene.run(40)
    assert len(scene.sounding()) == quiet
    anchors = len(scene.session.anchors)
    heard.report(40.0, time.now_ms(), playing=True, suspended=False)
    scene.path.wake()
    await scene.run(30)
    assert scene.session.told == ["returned"]
    assert len(scene.session.anchors) > anchors
    first = scene.sounding()[quiet][0]
    assert scene.position(first) == pytest.approx(40, abs=20)  # from where its report stood
    assert len(scene.sounding()) - quiet >= 17


@in_virtual_time
async def test_nobody_is_taken_for_gone_by_a_process_that_stood_still(time: VirtualTime) -> None:
    scene = Scene(time)
    await scene.begin()
    await scene.run(2)
    scene.place(3, 20)
    await scene.run(5)
    await time.advance(DEAD_MS + 1000)  # no block is asked for, and nothing is read
    await scene.run(1, alive=False)  # nor is it yet, as the next one is
    await scene.run(30)
    assert (scene.session.told, scene.session.gone_with) == ([], [])
    assert len(scene.sounding()) == 20


@in_virtual_time
async def test_a_suspension_between_two_blocks_is_noticed(time: VirtualTime) -> None:
    scene = Scene(time)
    await scene.begin()
    await scene.run(2)
    heard = scene.session.playout.heard
    for suspended in (True, False):
        heard.report(0.0, time.now_ms(), playing=False, suspended=suspended)
        scene.path.wake()
    await scene.run(2)
    assert scene.session.told == ["returned"]


@in_virtual_time
async def test_voice_is_kept_for_a_listener_out_of_reach_who_comes_back(time: VirtualTime) -> None:
    scene = Scene(time)
    scene.session.return_takes_ms = 100.0
    await scene.begin()
    await scene.run(2)
    last_ms = time.now_ms() - 20 - START_MS
    scene.place(4, 300)
    await scene.run(OUT_OF_REACH_MS // 20 + 10, alive=False)
    assert scene.session.told == [f"lost since {last_ms:.0f}"]
    quiet = len(scene.sounding())
    await scene.run(50, alive=False)
    assert len(scene.sounding()) == quiet
    await scene.run(3)
    assert len(scene.sounding()) == quiet  # while it settles what would be late
    await scene.run(20)
    assert scene.session.told[1:] == ["returned"]
    assert len(scene.sounding()) > quiet + 10
    assert scene.session.gone_with == []


@in_virtual_time
async def test_a_connection_that_brings_nothing_for_too_long_is_gone_once(
    time: VirtualTime,
) -> None:
    scene = Scene(time)
    await scene.begin()
    await scene.run(2)
    await scene.run(DEAD_MS // 20 + 50, alive=False)
    scene.track.lose()
    assert [error.code for error in scene.session.gone_with] == [LOST]


@in_virtual_time
async def test_a_connection_that_breaks_is_gone(time: VirtualTime) -> None:
    scene = Scene(time)
    await scene.begin()
    scene.track.lose()
    (error,) = scene.session.gone_with
    assert (error.code, error.reason) == (LOST, "the WebRTC connection was lost")


@in_virtual_time
async def test_one_that_never_came_about_is_told_by_its_opening_alone(time: VirtualTime) -> None:
    scene = Scene(time)
    scene.track.failure = PathError(wire.ErrorCode.ERROR_CODE_ICE_FAILED, "no way")
    with pytest.raises(PathError, match="no way"):
        await scene.path.answer("offer")
    with pytest.raises(PathError, match="no way"):
        await scene.path.connected()
    scene.track.lose()
    await scene.path.close()
    assert scene.session.gone_with == []
    assert scene.track.closed == 1


# the user


@in_virtual_time
async def test_the_users_audio_goes_to_the_sink_with_its_timestamp(time: VirtualTime) -> None:
    scene = Scene(time)
    await scene.begin()
    scene.track.hear(np.array([1, -2], np.int16), 4711)
    assert scene.session.heard == [(b"\x01\x00\xfe\xff", 4711)]
    assert (scene.path.path_id, scene.path.formats) == (7, FORMATS)
    scene.path.void(Cut(1, 0))
