"""The user's mouth and ear, and how loud it was there when: for the picture of a session."""

from dataclasses import dataclass, field

import numpy as np

from voxwire.audio import ClipMicrophone, Speaker
from voxwire.playout import Block, Samples
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

    def open(self, sample_rate: int) -> None:
        """Opens the speaker."""
        self.speaker.open(sample_rate)

    def write(self, block: Block, at: float) -> None:
        """Hands 20 ms on."""
        if level := _loudness(block.samples):
            self.levels.append((at * 1000, level))
        self.speaker.write(block, at)

    async def drain(self) -> None:
        """Waits until the speaker has taken everything, where it takes its time."""
        if (drain := getattr(self.speaker, "drain", None)) is not None:
            await drain()

    def close(self) -> None:
        """Closes the speaker."""
        self.speaker.close()
