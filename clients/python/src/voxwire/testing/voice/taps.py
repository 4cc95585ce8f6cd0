"""The user's mouth and ear, and how loud it was there when: for the picture of a session."""

from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np

from voxwire.audio import ClipMicrophone, Speaker
from voxwire.playout import Block, Samples, SpanKind
from voxwire_protocol.clocks import Clock

__all__ = ["Ear", "Level", "Mouth"]

Level = tuple[float, float]
"""A moment, milliseconds on the session's clock, and how loud 20 ms from there on were, 0 to 1."""


def _loudness(samples: Samples) -> float:
    return float(np.abs(samples.astype(np.int32)).max(initial=0)) / 32768


@dataclass
class Mouth(ClipMicrophone):
    """A microphone that says what it is given, silence between.

    Attributes:
        levels: Where there was sound.
    """

    clock: Clock
    levels: list[Level] = field(default_factory=list[Level])

    def __post_init__(self) -> None:
        super().__init__()

    def read(self, num_samples: int) -> Samples:
        """Returns the next samples."""
        samples = super().read(num_samples)
        if len(samples) and (level := _loudness(samples)):
            self.levels.append((self.clock.now_ms(), level))
        return samples


@dataclass
class Ear:
    """A speaker in front of another one, which keeps what was heard when.

    Attributes:
        levels: Where there was sound.
    """

    speaker: Speaker
    levels: list[Level] = field(default_factory=list[Level])
    _rate: int = 1
    _places: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    def open(self, sample_rate: int) -> None:
        """Opens the speaker."""
        self._rate = sample_rate
        self.speaker.open(sample_rate)

    def write(self, block: Block, at: float) -> None:
        """Hands 20 ms on."""
        for span in block.spans:
            if span.kind is SpanKind.PLAYED:
                sounds_ms = at * 1000 + span.offset * 1000 / self._rate
                self._places.append((span.position * 1000 / self._rate, sounds_ms))
        if level := _loudness(block.samples):
            self.levels.append((at * 1000, level))
        self.speaker.write(block, at)

    def close(self) -> None:
        """Closes the speaker."""
        self.speaker.close()

    def sounds_at_ms(self, media_ms: float) -> float | None:
        """When a position of the media clock sounded, or would have; None = nothing ever did."""
        if not self._places:
            return None
        at = bisect_right(self._places, media_ms, key=lambda place: place[0]) - 1
        position_ms, sounds_ms = self._places[max(0, at)]
        return sounds_ms + media_ms - position_ms
