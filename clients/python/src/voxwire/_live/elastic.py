"""Audio between two clocks: what one side brings at its rate, the other takes at its own.

Neither a device nor the session waits for the other, and no two clocks run alike. What waits in
between is held at one length by resampling a little faster or slower than the rates say; so a
device that drifts neither runs dry nor falls behind. Pure: times are passed in, milliseconds of one
monotonic clock. One thread may push while another one pulls.
"""

import threading
from collections import deque
from functools import cache
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from voxwire._live.stretch import MAX_DRIFT, Stretch
from voxwire.playout import Samples

__all__ = ["ElasticBuffer"]

MARGIN_MS: Final = 20
"""What waits beyond what the resampler holds back and one block: for threads that wake up late."""

MARGIN_STEP_MS: Final = 20
"""The margin grows by this much when the buffer ran dry all the same."""

MAX_MARGIN_MS: Final = 200

MAX_OVER_MS: Final = 200
"""What waits this far beyond what it should is left by a stall: the oldest of it is dropped."""

SMOOTH_MS: Final = (100, 1000)
"""What is measured is smoothed over this time, since blocks and threads jitter: the first in the
beginning, so that two clocks agree before anybody speaks; a tenth of the age after that; at most
the second.
"""

SETTLE: Final = 4
"""A length that is off comes back in so many times what it is smoothed over: 10 ms are 2500 ppm."""

LEARN: Final = 4
"""An error that stays for so many times what it takes to settle is a drift, and is remembered."""

_QUALITY: Final = "LQ"
"""soxr's: flat up to 3/4 of the lower rate's band, and 17 ms sooner than the better ones."""

_PROBE_MS: Final = 20
_PROBES: Final = 100
_NOTHING: Final = np.zeros(0, np.int16)


def _soxr(from_rate: int, to_rate: int) -> soxr.ResampleStream:
    return soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32", quality=_QUALITY)


@cache
def _held_back_ms(from_rate: int, to_rate: int) -> float:
    """The most that soxr keeps to itself of a stream that comes in blocks, milliseconds."""
    if from_rate == to_rate:
        return 0.0
    stream = _soxr(from_rate, to_rate)
    block = np.zeros(from_rate * _PROBE_MS // 1000, np.float32)
    came, most = 0, 0.0
    for number in range(1, _PROBES + 1):
        came += len(stream.resample_chunk(block))
        most = max(most, number * _PROBE_MS - came * 1000 / to_rate)
    return most


class ElasticBuffer:
    """int16 mono from one rate to another, and from one clock to another.

    Attributes:
        underruns: How often it ran dry.
        dropped_ms: What a stall had left too much of, milliseconds.
    """

    def __init__(self, from_rate: int, to_rate: int, *, block_ms: float) -> None:
        """Creates it empty; it gives nothing until as much waits as should.

        Args:
            from_rate: Of what is pushed, Hz.
            to_rate: Of what is pulled, Hz.
            block_ms: Longest piece that is pulled at once, milliseconds.
        """
        self.underruns = 0
        self.dropped_ms = 0.0
        self._from_rate = from_rate
        self._to_rate = to_rate
        self._soxr = None if from_rate == to_rate else _soxr(from_rate, to_rate)
        self._stretch = Stretch()
        self._block_ms = block_ms
        self._least_ms = _held_back_ms(from_rate, to_rate) + block_ms
        self._margin_ms = float(MARGIN_MS)
        self._lock = threading.Lock()
        self._pieces: deque[Samples] = deque()
        self._ready = 0  # samples that can be pulled
        self._owed = 0.0  # those, and what the resampler still holds back
        self._primed = False
        self._began_ms: float | None = None
        self._smooth_ms: float = SMOOTH_MS[0]
        self._error_ms: float | None = None
        self._drift = 0.0
        self._pushed_ms: float | None = None
        self._piece_ms = 0.0
        self._pulled_ms = 0.0
        self._pulled = 0

    def again(self) -> "ElasticBuffer":
        """An empty one between the same clocks; what was learned of them it knows."""
        made = ElasticBuffer(self._from_rate, self._to_rate, block_ms=self._block_ms)
        with self._lock:
            made._margin_ms, made._drift = self._margin_ms, self._drift
        return made

    @property
    def target_ms(self) -> float:
        """How much should wait, milliseconds."""
        return self._least_ms + self._margin_ms

    @property
    def waiting_ms(self) -> float:
        """How much waits, milliseconds; what the resampler holds back is part of it."""
        return self._owed * 1000 / self._to_rate

    @property
    def drift_ppm(self) -> float:
        """How much more is made of the audio than its rate says, parts per million."""
        return (self._ratio() - 1) * 1e6

    def push(self, samples: Samples, now_ms: float) -> None:
        """Takes the next piece.

        Args:
            samples: int16 mono.
            now_ms: Now.
        """
        with self._lock:
            self._measure(now_ms)
            ratio = self._ratio()
        made = self._convert(samples, ratio)
        with self._lock:
            self._owed += len(samples) * ratio * self._to_rate / self._from_rate
            self._piece_ms = len(samples) * 1000 / self._from_rate
            if len(made):
                self._pieces.append(made)
                self._ready += len(made)
            self._drop_excess()

    def pull(self, num_samples: int, now_ms: float) -> Samples:
        """The next samples, `num_samples` or none: what is missing is silence.

        Args:
            num_samples: How many.
            now_ms: Now.
        """
        with self._lock:
            if not self._primed:
                return self._begin(num_samples, now_ms)
            if self._ready < num_samples:
                self.underruns += 1
                self._margin_ms = min(MAX_MARGIN_MS, self._margin_ms + MARGIN_STEP_MS)
                self._primed, self._error_ms = False, None
                return _NOTHING
            self._pulled_ms, self._pulled = now_ms, num_samples
            return self._take(num_samples)

    def _begin(self, num_samples: int, now_ms: float) -> Samples:
        """The first samples, behind as much silence as still has to come in: to the sample."""
        if self._pushed_ms is None:
            return _NOTHING
        next_ms = max(0.0, self._piece_ms - (now_ms - self._pushed_ms))
        missing_ms = self.target_ms + next_ms - self.waiting_ms
        silent = max(0, round(missing_ms * self._to_rate / 1000))
        if silent >= num_samples or self._ready < num_samples - silent:
            return _NOTHING
        self._primed, self._pulled_ms, self._pulled = True, now_ms, num_samples
        self._began_ms = now_ms if self._began_ms is None else self._began_ms
        return np.concatenate((np.zeros(silent, np.int16), self._take(num_samples - silent)))

    def _take(self, num_samples: int) -> Samples:
        parts: list[Samples] = []
        need = num_samples
        while need:
            head = self._pieces.popleft()
            parts.append(head[:need])
            if len(head) > need:
                self._pieces.appendleft(head[need:])
            need -= len(parts[-1])
        self._ready -= num_samples
        self._owed -= num_samples
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _measure(self, now_ms: float) -> None:
        """Notes how far off the length is, before a piece comes: it is shortest then.

        What was pulled last is still being played, but for the time that has passed since.
        """
        passed_ms = 0.0 if self._pushed_ms is None else now_ms - self._pushed_ms
        self._pushed_ms = now_ms
        if not self._primed or not self._pulled:
            return
        pulled_ms = self._pulled * 1000 / self._to_rate
        playing_ms = min(max(0.0, pulled_ms - (now_ms - self._pulled_ms)), pulled_ms)
        assert self._began_ms is not None
        first_ms, last_ms = SMOOTH_MS
        self._smooth_ms = min(last_ms, first_ms + (now_ms - self._began_ms) / 10)
        error_ms = self.waiting_ms + playing_ms - self.target_ms
        if self._error_ms is None:
            self._error_ms = error_ms
        else:
            self._error_ms += (error_ms - self._error_ms) * min(1.0, passed_ms / self._smooth_ms)
            settle_ms = SETTLE * self._smooth_ms
            drift = self._drift + self._error_ms / settle_ms * passed_ms / (LEARN * settle_ms)
            self._drift = min(max(drift, -MAX_DRIFT), MAX_DRIFT)

    def _ratio(self) -> float:
        wanted = self._drift + (self._error_ms or 0.0) / (SETTLE * self._smooth_ms)
        return 1 - min(max(wanted, -MAX_DRIFT), MAX_DRIFT)

    def _convert(self, samples: Samples, ratio: float) -> Samples:
        """Both steps, the fine one at the higher rate, where it costs nothing that is heard."""
        made = samples.astype(np.float32)
        if self._to_rate >= self._from_rate:
            made = self._stretch.feed(self._resample(made), ratio)
        else:
            made = self._resample(self._stretch.feed(made, ratio))
        return np.clip(np.rint(made), -32768, 32767).astype(np.int16)

    def _resample(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._soxr is None:
            return samples
        return np.asarray(self._soxr.resample_chunk(samples), np.float32)

    def _drop_excess(self) -> None:
        """Drops the oldest of what only a stall can have left here."""
        over_ms = self.waiting_ms - self.target_ms
        if over_ms <= MAX_OVER_MS:
            return
        excess = min(self._ready, round(over_ms * self._to_rate / 1000))
        self._take(excess)
        self.dropped_ms += excess * 1000 / self._to_rate
        self._error_ms = None
