"""When somebody who speaks falls silent, before voice activity says so: pure, no clock."""

from __future__ import annotations

import numpy as np

__all__ = ["Pause"]

_QUIET_SLICES = 4
"""As many slices of 20 ms: a stop consonant is silent for less, voice activity waits for ten."""
_QUIET = 0.1
"""Slices below this share of the loudest one are silence..."""
_SPEECH = 300.0
"""...once one was as loud as this, of int16."""


class Pause:
    """Follows the loudness of one utterance."""

    def __init__(self) -> None:
        """Nobody has spoken yet."""
        self._loudest = 0.0
        self._quiet = 0

    def feed(self, pcm: bytes) -> None:
        """Take the next slice.

        Args:
            pcm: int16 little-endian PCM, mono, 20 ms.
        """
        samples = np.frombuffer(pcm, "<i2").astype(np.float32)
        loud = float(np.sqrt(np.mean(samples * samples))) if len(samples) else 0.0
        self._loudest = max(self._loudest, loud)
        spoken = self._loudest >= _SPEECH
        self._quiet = self._quiet + 1 if spoken and loud < self._loudest * _QUIET else 0

    @property
    def begins(self) -> bool:
        """Whether the slice fed last makes it a pause."""
        return self._quiet == _QUIET_SLICES

    @property
    def goes_on(self) -> bool:
        """Whether it is a pause, still."""
        return self._quiet >= _QUIET_SLICES
