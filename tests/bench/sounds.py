"""When something was said and when something sounded, both read from samples."""

import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tests.support.listening import QUIET

Samples = NDArray[np.int16]

CAPTURE_RATE = 16000
VOICED = 200
"""Peak above which a sample of speech counts as voiced."""
CLICK = 3000
CLICK_APART_S = 0.05


def spoken_s(clip: Samples) -> float:
    """Time from the first to the last voiced sample of a clip."""
    voiced = np.flatnonzero(np.abs(clip.astype(np.int32)) > VOICED)
    return float(voiced[-1] - voiced[0]) / CAPTURE_RATE if voiced.size else 0.0


class Mouth:
    """A microphone that knows when the first and the last voiced sample of a clip were spoken.

    Like a device, it hands over a block at the moment at which its last sample was captured.
    """

    def __init__(self) -> None:
        self._clip: Samples = np.zeros(0, np.int16)
        self._offset = 0
        self._first = self._last = -1
        self.started_s: float | None = None
        self.stopped_s: float | None = None

    def say(self, clip: Samples) -> None:
        """Speaks a clip, from the next block on."""
        voiced = np.flatnonzero(np.abs(clip.astype(np.int32)) > VOICED)
        self._clip, self._offset = clip, 0
        self._first, self._last = int(voiced[0]), int(voiced[-1])
        self.started_s = self.stopped_s = None

    def read(self, num_samples: int) -> Samples:
        """The next samples; fewer when the clip is over."""
        start, end = self._offset, self._offset + num_samples
        piece = self._clip[start:end]
        now_s = time.monotonic()
        if start <= self._first < end:
            self.started_s = now_s - (end - self._first) / CAPTURE_RATE
        if start <= self._last < end:
            self.stopped_s = now_s - (end - self._last) / CAPTURE_RATE
        self._offset = min(end, len(self._clip))
        return piece

    async def run(self) -> None:
        """Nothing to do: the clip is in memory."""


@dataclass
class Heard:
    """Everything that a speaker played, with the moment of each block's first sample."""

    blocks: list[tuple[float, Samples, int]] = field(default_factory=list)

    def add(self, at_s: float, samples: Samples, sample_rate: int) -> None:
        """Takes one block."""
        self.blocks.append((at_s, samples, sample_rate))

    def first(self, after_s: float, level: int = VOICED) -> float | None:
        """Moment of the first sample above a level from a moment on."""
        for at_s, samples, rate in self.blocks:
            if at_s + len(samples) / rate <= after_s:
                continue
            loud = at_s + np.flatnonzero(np.abs(samples.astype(np.int32)) > level) / rate
            loud = loud[loud >= after_s]
            if loud.size:
                return float(loud[0])
        return None

    def last(self, after_s: float, until_s: float, level: int = QUIET) -> float | None:
        """Moment of the last sample above a level (by default -60 dBFS) within a stretch."""
        for at_s, samples, rate in reversed(self.blocks):
            if at_s >= until_s:
                continue
            if at_s + len(samples) / rate <= after_s:
                return None
            loud = at_s + np.flatnonzero(np.abs(samples.astype(np.int32)) > level) / rate
            loud = loud[(loud >= after_s) & (loud < until_s)]
            if loud.size:
                return float(loud[-1])
        return None

    def clicks(self) -> list[float]:
        """Moments at which clicks begin."""
        onsets: list[float] = []
        for at_s, samples, rate in self.blocks:
            loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > CLICK)
            for moment in at_s + loud / rate:
                if not onsets or moment - onsets[-1] > CLICK_APART_S:
                    onsets.append(float(moment))
        return onsets
