"""Audio of a path that has a rate of its own, at the session's rate."""

import numpy as np
from soxr import ResampleStream

__all__ = ["Resampled"]


class Resampled:
    """One stream of int16 little-endian mono PCM at another rate; a few milliseconds late.

    Args:
        from_rate: Rate of what comes, Hz.
        to_rate: Rate of what is given, Hz.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._stream = ResampleStream(from_rate, to_rate, 1, dtype="int16", quality="MQ")

    def take(self, pcm: bytes) -> bytes:
        """The next of it; nothing while the resampler still looks ahead."""
        return self._stream.resample_chunk(np.frombuffer(pcm, "<i2")).astype("<i2").tobytes()
