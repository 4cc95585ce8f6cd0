"""The bot's voice at a path's own rate: positions stay those of the media clock."""

import numpy as np
import pytest

from tests.support.session_port import LoopClock
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.playout.placed import Playout
from voxwire_server.playout.sound import PathSound, make_sound
from voxwire_server.ports import Block

RATE, PATH_RATE = 24_000, 8000
TONE_HZ = 440


def tone(length_ms: int, rate: int = RATE, begin_ms: float = 0) -> bytes:
    at_s = np.arange(length_ms * rate // 1000) / rate + begin_ms / 1000
    return (np.sin(at_s * 2 * np.pi * TONE_HZ) * 8000).astype("<i2").tobytes()


class Stand:
    """What is placed, and a path at 8 kHz that takes it."""

    def __init__(self, sample_rate: int = PATH_RATE) -> None:
        self.clock = LoopClock()
        self.playout = Playout(sample_rate=RATE)
        self.playout.attach(self.clock.now_ms(), reports=True)
        self.wakes = 0
        self.in_use = True
        self.sound = make_sound(
            self.playout,
            self.clock,
            sample_rate=sample_rate,
            wake=self._woken,
            in_use=lambda: self.in_use,
        )

    def _woken(self) -> None:
        self.wakes += 1

    def place(self, pcm: bytes, *, new_stretch: bool = False) -> int:
        return self.playout.place(pcm, self.clock.now_ms(), new_stretch=new_stretch)

    def take_all(self) -> list[Block]:
        blocks: list[Block] = []
        while (block := self.sound.take(160)) is not None:
            blocks.append(block)
        return blocks


def joined(blocks: list[Block]) -> bytes:
    for one, two in zip(blocks, blocks[1:], strict=False):
        assert one.end == two.start
    return b"".join(block.pcm for block in blocks)


@in_virtual_time
async def test_at_the_sessions_rate_it_is_what_was_placed(time: VirtualTime) -> None:
    stand = Stand(RATE)
    stand.place(tone(100), new_stretch=True)
    assert joined(stand.take_all()) == tone(100)
    assert not stand.sound.pending
    assert stand.sound.ahead_ms == pytest.approx(100)


@in_virtual_time
async def test_at_another_rate_it_is_the_same_sound_at_the_same_place(time: VirtualTime) -> None:
    stand = Stand()
    await time.advance(500)
    start = stand.place(tone(200), new_stretch=True)
    stand.place(tone(200, begin_ms=200))
    blocks = stand.take_all()
    await time.advance(50)
    assert stand.wakes == 1
    blocks += stand.take_all()
    assert blocks[0].start == start // 3
    sound = np.frombuffer(joined(blocks), "<i2")
    assert len(sound) == pytest.approx(400 * 8, abs=2)
    wanted = np.frombuffer(tone(400, PATH_RATE), "<i2")[: len(sound)].astype(int)
    assert np.abs(sound[80 : len(wanted) - 80] - wanted[80:-80]).max() < 200
    assert not stand.sound.pending


@in_virtual_time
async def test_sound_that_continues_has_no_seam(time: VirtualTime) -> None:
    stand = Stand()
    blocks: list[Block] = []
    for at_ms in range(0, 400, 20):  # as it happens
        stand.place(tone(20, begin_ms=at_ms))
        blocks += stand.take_all()
        await time.advance(20)
    await time.advance(60)
    blocks += stand.take_all()
    sound = np.frombuffer(joined(blocks), "<i2").astype(int)
    wanted = np.frombuffer(tone(400, PATH_RATE), "<i2")[: len(sound)].astype(int)
    assert np.abs(sound[80:-80] - wanted[80 : len(sound) - 80]).max() < 200


@in_virtual_time
async def test_a_stretch_that_begins_later_stands_at_its_own_place(time: VirtualTime) -> None:
    stand = Stand()
    stand.place(tone(100), new_stretch=True)
    first = stand.take_all()
    await time.advance(2000)
    start = stand.place(tone(100), new_stretch=True)
    later = stand.take_all()
    second = [block for block in later if block.start >= start // 3]
    rest = later[: -len(second)]
    assert joined([*first, *rest])
    assert rest[-1].end == pytest.approx(800, abs=1)
    assert second[0].start == start // 3


@in_virtual_time
async def test_of_what_is_void_nothing_is_left(time: VirtualTime) -> None:
    stand = Stand()
    stand.place(tone(1000), new_stretch=True)
    assert stand.sound.take(160) is not None
    cut = stand.playout.flush(stand.clock.now_ms())
    assert cut is not None
    assert not stand.sound.pending
    assert stand.sound.take(160) is None
    stand.playout.finish_flush(cut, stand.clock.now_ms())
    start = stand.place(tone(100), new_stretch=True)
    block = stand.sound.take(160)
    assert block is not None
    assert block.start == start // 3


@in_virtual_time
async def test_what_is_sent_again_begins_where_it_was_reported(time: VirtualTime) -> None:
    stand = Stand()
    stand.place(tone(1000), new_stretch=True)
    for _ in range(20):
        stand.sound.take(160)
    stand.playout.heard.report(200, stand.clock.now_ms(), playing=True)
    stand.playout.rewind(stand.clock.now_ms())
    await time.advance(1)
    again = [stand.sound.take(160) for _ in range(4)]
    starts = [block.start for block in again if block is not None]
    assert 200 * 8 in starts


@in_virtual_time
async def test_what_waits_in_the_resampler_is_not_ahead_of_the_listener(
    time: VirtualTime,
) -> None:
    stand = Stand()
    stand.place(tone(1000), new_stretch=True)
    assert isinstance(stand.sound, PathSound)
    for number in range(1, 6):
        stand.sound.take(160)
        assert stand.sound.ahead_ms == pytest.approx(number * 20, abs=20)


@pytest.mark.parametrize("sample_rate", [RATE, PATH_RATE])
@in_virtual_time
async def test_a_path_that_is_not_in_use_takes_nothing(time: VirtualTime, sample_rate: int) -> None:
    """A telephone's clock runs before the call is answered."""
    stand = Stand(sample_rate)
    stand.in_use = False
    stand.place(tone(100))
    assert stand.sound.take(160) is None
    assert not stand.sound.pending
    assert stand.playout.heard.sent_ms == 0
    stand.in_use = True
    assert stand.sound.pending
    assert stand.sound.take(160) is not None
