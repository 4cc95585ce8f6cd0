"""What the aligner hears of audio: loudness and brightness, one row every 20 ms. Pure."""

import itertools
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["HOP_MS", "Features", "rows_of"]

HOP_MS: Final = 20
"""Distance of two rows, milliseconds."""

_EDGES_HZ: Final = (80, 1000, 3000, 7500)
_FLOOR: Final = 1.0

Features = NDArray[np.float32]
"""Rows of (loudness dB, middle minus low dB, high minus low dB) of a 30 ms window."""


def rows_of(samples: NDArray[np.int16], sample_rate: int, start: int, count: int) -> Features:
    """Rows ``[start, start + count)`` of a signal.

    Args:
        samples: int16 mono PCM; beyond its end there is silence.
        sample_rate: Hz, at least 8000.
        start: First row.
        count: Number of rows.
    """
    hop = sample_rate * HOP_MS // 1000
    width = hop * 3 // 2
    first = start * hop
    piece = samples[first : first + (count - 1) * hop + width].astype(np.float32)
    missing = (count - 1) * hop + width - len(piece)
    if missing > 0:
        piece = np.concatenate([piece, np.zeros(missing, np.float32)])
    frames = np.lib.stride_tricks.sliding_window_view(piece, width)[::hop][:count]
    power = np.abs(np.fft.rfft(frames * np.hanning(width), axis=1)) ** 2 / width
    edges = np.array(_EDGES_HZ) * width // sample_rate
    bands = [
        10 * np.log10(power[:, low:high].mean(axis=1) + _FLOOR) if high > low else np.zeros(count)
        for low, high in itertools.pairwise(edges)
    ]
    whole = 10 * np.log10(power[:, edges[0] : edges[-1]].mean(axis=1) + _FLOOR)
    return np.stack([whole, bands[1] - bands[0], bands[2] - bands[0]], axis=1).astype(np.float32)
