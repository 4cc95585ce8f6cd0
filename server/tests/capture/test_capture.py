"""The user's audio of a session: taken once and in order, muted, hushed, refused when too fast."""

import asyncio
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fake_pipeline import FakePipeline
from tests.support.session_port import FakePort
from voxwire_protocol import wire
from voxwire_protocol.capture import KEPT_MS
from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.capture.capture import Capture

RATE: Final = 16_000
BLOCK: Final = 320
BLOCK_MS: Final = 20
HUSH_MS: Final = 1_200


def samples(first: int, count: int = BLOCK) -> bytes:
    """Samples that say their own number, never 0."""
    return (np.arange(first, first + count) % 30_000 + 1).astype("<i2").tobytes()


class Bench:
    """The capture of one session, and what its pipeline hears."""

    def __init__(self, *, kept: bool = False) -> None:
        self.port = FakePort()
        self.pipeline: FakePipeline | None = FakePipeline()
        self.audio = self.pipeline.audio
        self.path = 0
        self.capture = Capture(
            self.port,
            sample_rate=RATE,
            block_ms=BLOCK_MS,
            kept=kept,
            pipeline=lambda: self.pipeline,
            path_in_use=lambda: self.path,
        )

    def open(
        self, path_id: int = 1, *, numbered: bool = True, rate: int | None = None
    ) -> wire.PathReady:
        """A path is ready, and in use."""
        ready = self.capture.ready(path_id, numbered=numbered, sample_rate=rate)
        self.path = path_id
        return ready

    def lose(self) -> None:
        """The path in use is gone."""
        gone, self.path = self.path, 0
        self.capture.closed(gone)
        self.port.spawn(self.capture.hush())

    def chunk(self, first: int, count: int = BLOCK, *, path_id: int = 1) -> None:
        data = samples(first, count)
        self.capture.chunk(wire.AudioChunk(path_id=path_id, data=data, sample_index=first))

    @property
    def heard(self) -> bytes:
        return b"".join(pcm for _, pcm in self.audio)

    @property
    def spoken(self) -> bytes:
        """What was heard of the user, without the silence that nobody sent."""
        return b"".join(pcm for _, pcm in self.audio if any(pcm))

    @property
    def silence_at_ms(self) -> list[float]:
        return [at_ms for at_ms, pcm in self.audio if not any(pcm)]


# what is taken


@in_virtual_time
async def test_a_path_s_chunks_reach_the_pipeline_in_blocks_of_its_length() -> None:
    bench = Bench()
    bench.chunk(0)  # not ready yet
    assert bench.heard == b""
    bench.open()
    bench.chunk(0, 3 * BLOCK + 10)
    assert [len(pcm) // 2 for _, pcm in bench.audio] == [BLOCK, BLOCK, BLOCK, 10]
    assert bench.heard == samples(0, 3 * BLOCK + 10)


@in_virtual_time
async def test_of_another_path_or_of_half_a_sample_nothing_is_taken() -> None:
    bench = Bench()
    bench.open()
    bench.chunk(0, path_id=2)
    bench.capture.chunk(wire.AudioChunk(path_id=1, data=b"\1" * 3))
    bench.capture.chunk(wire.AudioChunk(path_id=1, data=b"\1" * 2, sample_index=2**60))
    bench.capture.take(1, samples(0))
    assert bench.heard == b""
    assert bench.capture.counters() == {"dropped_audio_ms": 0, "ignored_audio": 3}


@in_virtual_time
async def test_audio_that_a_path_brings_itself_needs_no_numbers_and_no_timestamps() -> None:
    bench = Bench()
    bench.open(numbered=False)
    bench.capture.take(1, samples(0))
    bench.capture.take(1, samples(BLOCK), 960)
    bench.capture.take(2, samples(7))
    bench.chunk(0)
    assert bench.heard == samples(0, 2 * BLOCK)


@in_virtual_time
async def test_a_path_at_a_rate_of_its_own_is_heard_at_the_session_s() -> None:
    bench = Bench()
    bench.open(numbered=False, rate=8_000)
    tone = np.sin(np.arange(8_000) * 2 * np.pi * 440 / 8_000) * 10_000
    for at in range(0, 8_000, 160):
        bench.capture.take(1, tone[at : at + 160].astype("<i2").tobytes())
    heard = np.frombuffer(bench.heard, "<i2").astype(float)
    assert len(heard) == pytest.approx(RATE, abs=RATE * 0.03)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert np.argmax(spectrum) * RATE / len(heard) == pytest.approx(440, abs=3)


@in_virtual_time
async def test_before_there_is_a_pipeline_nothing_is_kept_for_it() -> None:
    bench = Bench()
    bench.pipeline, pipeline = None, bench.pipeline
    bench.open()
    bench.chunk(0)
    bench.pipeline = pipeline
    bench.chunk(BLOCK)
    assert bench.heard == samples(BLOCK)


# order


@in_virtual_time
async def test_what_a_client_that_keeps_its_audio_sends_twice_is_heard_once() -> None:
    bench = Bench(kept=True)
    assert bench.open().capture_index == 0
    bench.chunk(0)
    bench.chunk(BLOCK // 2)
    bench.lose()
    assert bench.open(2).capture_index == BLOCK * 3 // 2
    bench.chunk(0, 3 * BLOCK, path_id=2)
    assert bench.heard == samples(0, 3 * BLOCK)


@in_virtual_time
async def test_a_client_that_keeps_nothing_numbers_each_path_from_0() -> None:
    bench = Bench()
    assert not bench.open().HasField("capture_index")
    for _ in range(2):
        bench.chunk(0)
    assert bench.heard == samples(0) * 2


@in_virtual_time
async def test_behind_audio_without_numbers_the_client_is_told_its_age(time: VirtualTime) -> None:
    bench = Bench(kept=True)
    bench.open(numbered=False)
    bench.capture.take(1, samples(0))
    await time.advance(730)
    ready = bench.open(2)
    assert not ready.HasField("capture_index")
    assert ready.capture_age_ms == pytest.approx(730, abs=1)
    bench.chunk(50_000, path_id=2)
    assert bench.open(3).capture_index == 50_000 + BLOCK


@in_virtual_time
async def test_what_was_kept_comes_before_what_a_path_brings_itself(time: VirtualTime) -> None:
    bench = Bench(kept=True)
    bench.open(numbered=False)
    bench.capture.take(1, samples(5_000), 960)
    bench.chunk(0)
    assert bench.heard == samples(0)
    bench.capture.chunk(wire.AudioChunk(path_id=1, live_follows=True, rtp_timestamp=960 - 312))
    bench.capture.take(1, samples(5_000 + BLOCK), 1920)
    assert bench.heard == samples(0) + samples(5_000, 2 * BLOCK)
    bench.chunk(BLOCK)  # behind the end of what was kept
    assert len(bench.heard) == 2 * 3 * BLOCK


@in_virtual_time
async def test_when_a_new_path_does_not_open_the_one_in_use_goes_on() -> None:
    bench = Bench()
    bench.open(1, numbered=False, rate=8_000)
    bench.capture.ready(2, numbered=True)
    bench.capture.take(1, samples(0))
    assert bench.heard == b""
    bench.capture.closed(2)
    for _ in range(10):
        bench.capture.take(1, samples(0, 160))
    assert len(bench.heard) > 2 * 5 * BLOCK  # still at its own rate
    bench.path = 0
    bench.capture.closed(1)
    before = len(bench.heard)
    bench.capture.take(1, samples(0))
    assert len(bench.heard) == before


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12), st.booleans()), max_size=25),
)
@settings(max_examples=100, deadline=None)
@in_virtual_time
async def test_over_paths_that_come_and_go_no_kept_sample_is_heard_twice(
    blocks: list[tuple[int, int, bool]], time: VirtualTime
) -> None:
    bench, path_id = Bench(kept=True), 1
    bench.open(path_id)
    for first, count, lost in blocks:
        if lost:
            bench.lose()
            path_id += 1
            bench.open(path_id)
        bench.chunk(first * BLOCK, count * BLOCK, path_id=path_id)
        await time.advance(count * BLOCK_MS)
    heard = np.frombuffer(bench.spoken, "<i2").tolist()
    assert heard == sorted(set(heard))


# mute and silence


@in_virtual_time
async def test_a_muted_user_is_not_heard_and_a_turn_that_was_begun_ends(
    time: VirtualTime,
) -> None:
    bench = Bench()
    bench.open()
    bench.chunk(0)
    bench.capture.mute(muted=True)
    for at in range(1, 100):
        bench.chunk(at * BLOCK)
        await time.advance(BLOCK_MS)
    assert bench.spoken == samples(0)
    assert len(bench.silence_at_ms) == HUSH_MS // BLOCK_MS
    bench.capture.mute(muted=False)
    bench.chunk(100 * BLOCK)
    assert bench.spoken == samples(0) + samples(100 * BLOCK)


@in_virtual_time
async def test_silence_is_never_faster_than_time_however_often_it_is_asked_for(
    time: VirtualTime,
) -> None:
    bench = Bench()
    bench.open()
    began_ms = time.now_ms()
    for _ in range(5):
        bench.capture.mute(muted=True)
        await time.advance(100)
    await time.advance(5_000)
    silence = bench.silence_at_ms
    assert silence[0] == began_ms
    assert silence[-1] - began_ms == pytest.approx(400 + HUSH_MS, abs=2 * BLOCK_MS)
    assert np.diff(silence).min() >= BLOCK_MS - 0.01


@in_virtual_time
async def test_a_client_that_keeps_nothing_is_silent_as_soon_as_its_path_is_gone(
    time: VirtualTime,
) -> None:
    bench = Bench()
    bench.open()
    bench.chunk(0)
    bench.lose()
    lost_ms = time.now_ms()
    await time.advance(300)
    assert bench.silence_at_ms[0] == lost_ms
    bench.open(2)
    await time.advance(2_000)
    assert len(bench.silence_at_ms) == 300 // BLOCK_MS + 1


@in_virtual_time
async def test_a_client_that_keeps_its_audio_has_three_seconds_to_come_back(
    time: VirtualTime,
) -> None:
    bench = Bench(kept=True)
    bench.open()
    bench.chunk(0)
    newest_ms = time.now_ms()
    await time.advance(500)
    bench.lose()
    await time.advance(KEPT_MS - 501)
    assert bench.silence_at_ms == []
    await time.advance(HUSH_MS + 1_000)
    assert bench.silence_at_ms[0] - newest_ms == pytest.approx(KEPT_MS, abs=1)
    assert len(bench.silence_at_ms) == HUSH_MS // BLOCK_MS


@in_virtual_time
async def test_who_is_back_in_time_goes_on_without_a_silence(time: VirtualTime) -> None:
    bench = Bench(kept=True)
    bench.open()
    bench.chunk(0)
    bench.lose()
    await time.advance(KEPT_MS - 100)
    bench.open(2)
    bench.chunk(0, 2 * BLOCK, path_id=2)
    await time.advance(10_000)
    assert bench.heard == samples(0, 2 * BLOCK)


@in_virtual_time
async def test_a_mute_does_not_wait_for_what_is_kept(time: VirtualTime) -> None:
    bench = Bench(kept=True)
    bench.open()
    bench.chunk(0)
    bench.capture.mute(muted=True)
    muted_ms = time.now_ms()
    await time.advance(50)
    assert bench.silence_at_ms[0] == muted_ms


@in_virtual_time
async def test_when_the_pipeline_is_gone_the_silence_ends(time: VirtualTime) -> None:
    bench = Bench()
    bench.capture.mute(muted=True)
    await time.advance(100)
    bench.pipeline = None
    before = len(bench.audio)
    await time.advance(5_000)
    assert len(bench.audio) == before


# too fast


@in_virtual_time
async def test_audio_that_comes_too_fast_is_dropped_counted_and_told_once_a_second(
    time: VirtualTime,
) -> None:
    bench = Bench()
    bench.open()
    began_ms = time.now_ms()
    for at in range(1_500):  # 30 s of audio in 3 s
        bench.chunk(at * BLOCK)
        if at % 10 == 9:
            await time.advance(BLOCK_MS)
    heard_ms = len(bench.heard) / 32
    assert heard_ms <= 1_000 + 1.25 * 3_000
    assert bench.capture.counters()["dropped_audio_ms"] == 30_000 - heard_ms
    assert set(bench.port.codes) == {ErrorCode.AUDIO_OVERRUN}
    told = [error.at_ms - began_ms for error in bench.port.errors]
    assert len(told) == 3
    assert np.diff(told).min() >= 1_000


@in_virtual_time
async def test_what_the_channel_refuses_is_told_at_the_same_rate(time: VirtualTime) -> None:
    bench = Bench()
    for _ in range(25):
        bench.capture.overrun()
        await time.advance(100)
    assert bench.port.codes == [ErrorCode.AUDIO_OVERRUN] * 3


@in_virtual_time
async def test_what_was_said_while_the_client_connected_may_come_at_once() -> None:
    for kept, at_once_ms in ((True, 4_000), (False, 1_000)):
        bench = Bench(kept=kept)
        bench.open()
        bench.chunk(0, 250 * BLOCK)
        assert bench.heard == b""  # 5 s in one block are too many
        for at in range(250):
            bench.chunk((250 + at) * BLOCK)
        assert len(bench.heard) / 32 == at_once_ms


# where speech ended


@in_virtual_time
async def test_the_tail_has_what_the_pipeline_was_given(time: VirtualTime) -> None:
    bench = Bench(kept=True)
    bench.open()
    loud, quiet = np.full(BLOCK, 8_000, "<i2").tobytes(), bytes(2 * BLOCK)
    for at in range(50):
        data = loud if at < 25 else quiet
        chunk = wire.AudioChunk(path_id=1, data=data, sample_index=at * BLOCK)
        bench.capture.chunk(chunk)
        await asyncio.sleep(BLOCK_MS / 1000)
    now_ms = time.now_ms()
    end = bench.capture.tail.end(now_ms - 500, now_ms)
    assert end is not None
    assert end.capture_ms == pytest.approx(500, abs=1)
