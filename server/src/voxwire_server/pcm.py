"""Where sound is in PCM: int16 little-endian mono everywhere. Pure."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["QUIET", "first_sound_ms", "louder"]

QUIET: Final = 33
"""-60 dBFS as a peak of int16 samples: what is above it can be heard."""


def louder(samples: NDArray[np.int16], level: float) -> NDArray[np.intp]:
    """Places of the samples that are further from 0 than ``level``."""
    return np.flatnonzero((samples > level) | (samples < -level))


def first_sound_ms(pcm: bytes, sample_rate: int) -> float | None:
    """Milliseconds from the first sample to the first audible one; None = all is silence."""
    loud = louder(np.frombuffer(pcm, np.int16), QUIET)
    return float(loud[0]) * 1000 / sample_rate if len(loud) else None
