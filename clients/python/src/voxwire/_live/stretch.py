"""A stream at a rate that is a little higher or lower than it says: for clocks that drift. Pure."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_DRIFT", "Stretch"]

MAX_DRIFT: Final = 0.005
"""Most that a rate is changed by: 5000 ppm, ten times what a cheap device drifts."""

_BEHIND: Final = 2
"""Samples that the interpolation needs behind the one that it is at."""


class Stretch:
    """Resamples by a ratio near 1 that may change with every piece, without a seam.

    Four-point Lagrange interpolation: inaudible where the stream is oversampled (speech at a
    device's 44.1 or 48 kHz). soxr does the nominal rates; its variable rate is not in every version
    that the client runs with.
    """

    def __init__(self) -> None:
        """Begins with silence."""
        self._tail = np.zeros(3, np.float32)
        self._at = 1.0  # where the next sample is read, counted in the tail and what follows it

    def feed(self, samples: NDArray[np.float32], ratio: float) -> NDArray[np.float32]:
        """The next samples.

        Args:
            samples: float32 mono of any scale.
            ratio: Samples out per sample in, 1 ± `MAX_DRIFT`.
        """
        data = np.concatenate((self._tail, samples))
        step = 1.0 / ratio
        count = max(0, math.ceil((len(data) - _BEHIND - self._at) / step))
        places = self._at + step * np.arange(count)
        whole = places.astype(np.int64)
        part = (places - whole).astype(np.float32)
        before, here, after, beyond = (data[whole + offset] for offset in (-1, 0, 1, 2))
        ahead, back = part - 1, part + 1
        out = (
            here * (back * ahead * (part - 2)) / 2
            - before * (part * ahead * (part - 2)) / 6
            - after * (back * part * (part - 2)) / 2
            + beyond * (back * part * ahead) / 6
        )
        self._at += step * count
        base = int(self._at) - 1
        self._tail, self._at = data[base:], self._at - base
        return out.astype(np.float32, copy=False)
