"""What a playout buffer hands to a speaker: blocks, and what each piece of one is."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

__all__ = ["Block", "Samples", "Span", "SpanKind"]

Samples = NDArray[np.int16]
"""int16 PCM in native byte order, mono."""


class SpanKind(Enum):
    """What a piece of a block is."""

    PLAYED = "played"
    """Bot audio at its position."""
    GAP = "gap"
    """Silence that the media clock holds between two pieces; the position moves on."""
    CONCEALED = "concealed"
    """Made up to hide that audio is late; the position stands still."""
    SILENT = "silent"
    """Nothing to play; the position stands still."""

    @property
    def moves(self) -> bool:
        """True where the position moves with the samples."""
        return self in (SpanKind.PLAYED, SpanKind.GAP)


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a block, in samples: where in the block, where on the media clock, what."""

    offset: int
    length: int
    position: int
    kind: SpanKind


@dataclass(frozen=True, slots=True)
class Block:
    """What the speaker plays next.

    Attributes:
        samples: int16 mono at the playout rate.
        spans: What it consists of; together they cover the block.
        position: Position after the block.
    """

    samples: Samples
    spans: tuple[Span, ...]
    position: int
