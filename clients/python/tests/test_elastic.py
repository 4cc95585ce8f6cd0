"""Audio between two clocks: nothing lost, nothing late, however long and however they drift."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from voxwire._live.elastic import MAX_OVER_MS, ElasticBuffer
from voxwire._live.stretch import Stretch
from voxwire.playout import Samples
from voxwire.testing import tone

HOUR_HALF_S = 1800


@dataclass
class Side:
    """A clock that counts blocks."""

    rate: int
    block_ms: int
    drift_ppm: float = 0.0
    blocks: int = 0

    @property
    def due_ms(self) -> float:
        return self.blocks * self.block_ms / (1 + self.drift_ppm * 1e-6)

    @property
    def size(self) -> int:
        return self.rate * self.block_ms // 1000


@dataclass
class Clicks:
    """A click of 1 ms every second on one side, found on the other by its samples."""

    heard_ms: list[float] = field(default_factory=list)

    def block(self, side: Side) -> Samples:
        block = np.zeros(side.size, np.int16)
        start = side.blocks * side.size
        at = -start % side.rate
        if at < side.size:
            block[at : at + side.rate // 1000] = 20_000
        return block

    def hear(self, block: Samples, side: Side) -> None:
        peak = int(np.abs(block.astype(np.int32)).argmax())
        at_ms = side.due_ms + peak * 1000 / side.rate
        if abs(int(block[peak])) > 10_000 and (not self.heard_ms or at_ms - self.heard_ms[-1] > 99):
            self.heard_ms.append(at_ms)

    def delays_ms(self, every_ms: float) -> np.ndarray:
        heard = np.array(self.heard_ms)
        return heard - np.arange(len(heard)) * every_ms


def pump(writer: Side, reader: Side, seconds: int) -> tuple[ElasticBuffer, np.ndarray]:
    """Runs both sides by their own clocks; returns how long each click was on its way."""
    buffer = ElasticBuffer(writer.rate, reader.rate, block_ms=reader.block_ms)
    clicks = Clicks()
    while writer.due_ms < seconds * 1000:
        if writer.due_ms <= reader.due_ms:
            buffer.push(clicks.block(writer), writer.due_ms)
            writer.blocks += 1
        else:
            got = buffer.pull(reader.size, reader.due_ms)
            if len(got):
                clicks.hear(got, reader)
            reader.blocks += 1
    return buffer, clicks.delays_ms(1000 / (1 + writer.drift_ppm * 1e-6))


def test_a_speaker_200_ppm_fast_for_half_an_hour_drifts_by_less_than_10_ms() -> None:
    """By its samples: 360 ms without a correction."""
    buffer, delays_ms = pump(Side(24_000, 20), Side(48_000, 20, 200), HOUR_HALF_S)
    assert len(delays_ms) == HOUR_HALF_S
    assert np.ptp(delays_ms) <= 10
    assert np.ptp(delays_ms[60:]) <= 1
    assert (buffer.underruns, buffer.dropped_ms) == (0, 0)
    assert buffer.drift_ppm == pytest.approx(200, abs=5)


@pytest.mark.parametrize("drift_ppm", [-500, 0, 200])
@pytest.mark.parametrize("device_rate", [44_100, 16_000])
def test_a_microphone_that_drifts_does_not_fall_behind(drift_ppm: float, device_rate: int) -> None:
    buffer, delays_ms = pump(Side(device_rate, 10, drift_ppm), Side(16_000, 20), 120)
    assert len(delays_ms) >= 119
    assert np.ptp(delays_ms) <= 10
    assert delays_ms.max() < 80
    assert (buffer.underruns, buffer.dropped_ms) == (0, 0)


def test_a_device_that_no_correction_can_follow_runs_dry_and_goes_on() -> None:
    buffer, delays_ms = pump(Side(24_000, 20), Side(48_000, 10, 20_000), 30)
    assert buffer.underruns > 0
    assert len(delays_ms) > 20


def test_what_a_stall_leaves_too_much_of_is_dropped() -> None:
    """The reader stood still for a second: what is left is as long as it should be."""
    buffer = ElasticBuffer(16_000, 16_000, block_ms=20)
    for number in range(100):
        buffer.push(np.ones(160, np.int16), number * 10.0)
    assert buffer.dropped_ms > 500
    assert buffer.waiting_ms <= buffer.target_ms + MAX_OVER_MS


def test_a_buffer_that_runs_dry_waits_until_it_has_more_than_before() -> None:
    buffer = ElasticBuffer(16_000, 16_000, block_ms=10)
    before_ms = buffer.target_ms
    for number in range(6):
        buffer.push(np.ones(160, np.int16), number * 10.0)
    while len(buffer.pull(160, 60.0)):
        pass
    assert buffer.underruns == 1
    assert buffer.target_ms > before_ms
    buffer.push(np.ones(160, np.int16), 70.0)
    assert not len(buffer.pull(160, 75.0))


@pytest.mark.parametrize("ratio", [0.995, 1 - 200e-6, 1.0, 1 + 200e-6, 1.005])
def test_stretching_changes_the_pitch_by_the_ratio_and_nothing_else(ratio: float) -> None:
    """Against the same sine made at the other rate: pieces of any length leave no seam."""
    rate, hz = 48_000, 1000
    sine = tone(1000, sample_rate=rate, hz=hz).astype(np.float32)
    stretch, made, start = Stretch(), [], 0
    for size in np.random.default_rng(1).integers(1, 900, 100):
        made.append(stretch.feed(sine[start : start + size], ratio))
        start += size
    got = np.concatenate(made)
    places = np.arange(len(got)) / ratio - 17  # it begins with silence
    want = 8000 * np.cos(2 * np.pi * hz * places / rate)
    inside = slice(100, len(got) - 100)
    assert len(got) == pytest.approx(len(sine[:start]) * ratio, abs=20)
    assert np.abs(got - want)[inside].max() < 8


def test_an_emptied_buffer_gives_nothing_of_before_and_knows_its_clocks() -> None:
    buffer, _ = pump(Side(24_000, 20), Side(48_000, 10, 20_000), 30)
    emptied = buffer.again()
    assert (emptied.waiting_ms, emptied.target_ms) == (0, buffer.target_ms)
    assert emptied.drift_ppm == pytest.approx(buffer.drift_ppm, abs=2000)
    assert emptied.drift_ppm > 1000
    for number in range(12):
        emptied.push(np.ones(480, np.int16), number * 20.0)
        assert set(emptied.pull(480, number * 20.0 + 5).tolist()) <= {0, 1, 2}
    assert len(emptied.pull(480, 245.0))
