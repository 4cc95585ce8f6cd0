"""A stream at a rate that is a little higher or lower than it says: for clocks that drift. Pure."""

import math
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_DRIFT", "Stretch"]

MAX_DRIFT: Final = 0.005
"""Most that a rate is changed by: 5000 ppm, ten times what a cheap device drifts."""

_TAPS: Final = 32
_PHASES: Final = 2048
_SHAPE: Final = 8.0
"""Of the Kaiser window: what is mirrored at the band's edge is 80 dB down."""

_BEFORE: Final = _TAPS // 2 - 1
_BEHIND: Final = _TAPS // 2


@cache
def _table() -> NDArray[np.float32]:
    """Weights of the samples around a place, for each fraction of a sample: phases × taps."""
    offsets = np.arange(_TAPS) - _BEFORE - np.arange(_PHASES)[:, np.newaxis] / _PHASES
    inside = np.clip(1 - (offsets / (_TAPS / 2)) ** 2, 0, None)
    weights = np.sinc(offsets) * np.i0(_SHAPE * np.sqrt(inside)) / np.i0(_SHAPE)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


class Stretch:
    """Resamples by a ratio near 1 that may change with every piece, without a seam.

    A windowed sinc, flat to 0.9 of the band whatever the fraction: a filter that let the treble
    come and go as the clocks slide past each other would be an echo path that never stands still.
    soxr does the nominal rates; the versions that the client runs with have no variable one.
    """

    def __init__(self) -> None:
        """Begins with silence."""
        self._tail = np.zeros(_TAPS, np.float32)
        self._at = float(_BEFORE)  # where the next sample is read, in the tail and what follows it

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
        phases = ((places - whole) * _PHASES).astype(np.int64)
        windows = np.lib.stride_tricks.sliding_window_view(data, _TAPS)
        out = np.einsum("ij,ij->i", windows[whole - _BEFORE], _table()[phases])
        self._at += step * count
        base = int(self._at) - _BEFORE
        self._tail, self._at = data[base:], self._at - base
        return out
