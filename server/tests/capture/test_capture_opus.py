"""The user's audio as Opus: the same numbers as PCM, and rubbish costs nothing but itself."""

import numpy as np
import pytest

from tests.support.fake_pipeline import FakePipeline
from tests.support.session_port import FakePort
from voxwire_protocol import wire
from voxwire_protocol.errors import ErrorCode
from voxwire_protocol.opus import ChunkEncoder, opus_ready
from voxwire_protocol.virtual_time import VirtualTime, in_virtual_time
from voxwire_server.capture.capture import Capture

RATE = 16_000
BLOCK = RATE // 50

pytestmark = pytest.mark.skipif(not opus_ready(RATE), reason="no libopus here")


class Bench:
    """The capture of a client that keeps its audio, and what its pipeline hears."""

    def __init__(self) -> None:
        self.port = FakePort()
        self.pipeline = FakePipeline()
        self.path = 0
        self.capture = Capture(
            self.port,
            sample_rate=RATE,
            block_ms=20,
            kept=True,
            pipeline=lambda: self.pipeline,
            path_in_use=lambda: self.path,
        )

    def open(self, path_id: int, *, opus: bool = True) -> wire.PathReady:
        self.path = path_id
        return self.capture.ready(path_id, numbered=True, opus=opus)

    def take(self, chunks: list[wire.AudioChunk]) -> None:
        for chunk in chunks:
            self.capture.chunk(chunk)

    @property
    def heard(self) -> int:
        """Samples."""
        return sum(len(pcm) for _, pcm in self.pipeline.audio) // 2


def voice(first: int, count: int) -> bytes:
    return (6000 * np.sin(np.arange(first, first + count) / 7)).astype("<i2").tobytes()


def encoder(path_id: int = 1) -> ChunkEncoder:
    return ChunkEncoder(RATE, path_id=path_id, block_ms=20)


@in_virtual_time
async def test_the_next_path_is_told_the_sample_that_the_decoder_has_not_given(
    time: VirtualTime,
) -> None:
    bench, line = Bench(), encoder()
    bench.open(1)
    bench.take(line.push(0, voice(0, 10 * BLOCK)))
    had = bench.heard
    assert had == 10 * BLOCK - RATE * 13 // 2000  # the look-ahead is on the way
    ready = bench.open(2, opus=False)
    assert ready.capture_index == had
    rest = voice(had, 500)
    bench.capture.chunk(wire.AudioChunk(path_id=2, sample_index=had, data=rest))
    assert bench.heard == had + 500


@in_virtual_time
async def test_rubbish_is_ignored_and_said_once_a_path(time: VirtualTime) -> None:
    bench = Bench()
    bench.open(1)
    for number in range(50):
        bench.capture.chunk(wire.AudioChunk(path_id=1, sample_index=number * BLOCK, data=b"\x0b"))
    [told] = bench.port.errors
    assert (told.code, told.subject) == (ErrorCode.UNSUPPORTED_FORMAT, "1")
    assert bench.capture.counters()["ignored_audio"] == 50
    assert bench.heard == 0
    bench.take(encoder().push(0, voice(0, 3 * BLOCK)))
    assert bench.heard == 3 * BLOCK - RATE * 13 // 2000


@in_virtual_time
async def test_packets_come_no_faster_than_samples_may(time: VirtualTime) -> None:
    """A minute in a moment: four seconds of it are taken, whatever it is in."""
    bench, line = Bench(), encoder()
    bench.open(1)
    bench.take(line.push(0, voice(0, 3000 * BLOCK)))
    assert bench.heard <= 4 * RATE
    assert ErrorCode.AUDIO_OVERRUN in [told.code for told in bench.port.errors]
