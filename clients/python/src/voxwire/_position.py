"""Where the speaker is on the media clock, between one block and the next.

Pure: times are seconds of any monotonic clock and are passed in.
"""

import math
from typing import Final, NamedTuple

from voxwire.playout import Block

__all__ = ["PositionClock", "Reached"]

_ROUNDING_MS: Final = 1
"""A peer may round the end of its audio up by this much."""

_EARLY_MS: Final = 0.05
"""A timer may fire this much early."""


class Reached(NamedTuple):
    """How far playout has come, milliseconds of the media clock.

    Attributes:
        sounded_ms: Samples at positions up to this one have begun to sound.
        passed_ms: Everything that was to happen up to here may happen. Where the position stands
            still this is the end of what was played, though the sample there has not sounded.
    """

    sounded_ms: int
    passed_ms: int


class PositionClock:
    """Maps time to the media clock within the block that is being played."""

    def __init__(self, sample_rate: int) -> None:
        """Creates a clock at position 0 that stands still.

        Args:
            sample_rate: Of the blocks, Hz.
        """
        self._rate = sample_rate
        self._at = 0.0
        self._block: Block | None = None
        self._before = 0

    def note(self, at: float, block: Block) -> None:
        """Takes the next block; its first sample sounds at time `at` (seconds)."""
        self._before = self._block.position if self._block else 0
        self._at = at
        self._block = block

    def _where(self, now: float) -> tuple[float, bool]:
        """Position in samples at a time, and whether it moves."""
        if self._block is None or now < self._at:
            return float(self._before), False
        elapsed = (now - self._at) * self._rate
        for span in self._block.spans:
            if elapsed < span.offset + span.length:
                if not span.kind.moves:
                    return float(span.position), False
                return span.position + max(0.0, elapsed - span.offset), True
        return float(self._block.position), False

    def position_ms(self, now: float) -> float:
        """Position of the next sample to sound at time `now`, milliseconds."""
        return self._where(now)[0] * 1000 / self._rate

    def reached(self, now: float) -> Reached:
        """How far playout has come at time `now`."""
        position, moves = self._where(now)
        position_ms = position * 1000 / self._rate
        if moves:
            sounded_ms = math.floor(position_ms + _EARLY_MS)
            return Reached(sounded_ms, sounded_ms)
        end_ms = math.ceil(position_ms)
        return Reached(end_ms - 1, end_ms + _ROUNDING_MS)

    def time_of(self, media_ms: int) -> float | None:
        """When the sample at a position sounds, seconds; None = not within this block."""
        if self._block is None:
            return None
        wanted = media_ms * self._rate / 1000
        for span in self._block.spans:
            if span.kind.moves and wanted < span.position + span.length:
                return self._at + (span.offset + max(0.0, wanted - span.position)) / self._rate
        return None
