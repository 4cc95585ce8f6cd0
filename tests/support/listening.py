"""Reading what was played from its samples."""

import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tests.support.clicks import CLICK_MS
from voxwire import Block, Recording

QUIET = 33
"""-60 dBFS as a peak of int16 samples."""


@dataclass
class Ear(Recording):
    """A recording that also knows when each block sounded."""

    blocks: list[tuple[float, Block]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def write(self, block: Block, at: float) -> None:
        """Keep the block and the moment at which its first sample sounds (monotonic seconds)."""
        self.blocks.append((at, block))
        super().write(block, at)

    def last_sound(self, after: float, until: float = float("inf")) -> float | None:
        """Moment of the last sample above -60 dBFS in a stretch of time; None = silence."""
        last: float | None = None
        for at, block in self.blocks:
            loud = np.flatnonzero(np.abs(block.samples.astype(int)) > QUIET)
            if len(loud):
                moment = at + float(loud[-1]) / self.sample_rate
                if after < moment < until:
                    last = moment
        return last


def click_onsets_ms(samples: NDArray[np.int16], sample_rate: int) -> list[float]:
    """Where clicks begin, milliseconds from the first sample."""
    loud = np.abs(samples.astype(int)) > 3000
    onsets: list[float] = []
    for index in np.flatnonzero(loud):
        ms = float(index) * 1000 / sample_rate
        if not onsets or ms - onsets[-1] > 10 * CLICK_MS:
            onsets.append(ms)
    return onsets


def monotonic() -> float:
    """The clock of :class:`Ear`."""
    return time.monotonic()
