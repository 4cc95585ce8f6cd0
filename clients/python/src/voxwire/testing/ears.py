"""Whether the user speaks, by how loud he is. Pure: time passes as samples come."""

from typing import Final

import numpy as np

from voxwire._microphones import CAPTURE_RATE
from voxwire.playout import Samples

__all__ = ["Ears"]

BEGIN_MS: Final = 60
"""A sound is a voice when it has lasted for this long."""

END_MS: Final = 300
"""A voice is over when it has been quiet for this long."""

_LOUD: Final = 500


class Ears:
    """Hears one user.

    Attributes:
        speaking: Whether he speaks.
    """

    def __init__(self) -> None:
        """Creates them with nothing heard."""
        self.speaking = False
        self._pieces: list[Samples] = []
        self._loud_ms = self._quiet_ms = 0.0

    @property
    def samples(self) -> Samples:
        """Everything that came, int16 mono at 16 kHz."""
        return np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.int16)

    @property
    def next_index(self) -> int:
        """Number of the sample that comes next."""
        return sum(map(len, self._pieces))

    def take(self, sample_index: int, samples: Samples) -> bool:
        """Takes the user's audio; True when he has begun or ended to speak.

        Args:
            sample_index: Number of the first sample; what is there already is left out, what is
                missing before it is silence.
            samples: int16 mono at 16 kHz.
        """
        missing = sample_index - self.next_index
        if missing > 0:
            self._pieces.append(np.zeros(missing, np.int16))
        samples = samples[max(0, -missing) :]
        if not len(samples):
            return False
        self._pieces.append(samples)
        took_ms = len(samples) * 1000 / CAPTURE_RATE
        if np.abs(samples.astype(np.int32)).max() > _LOUD:
            self._loud_ms, self._quiet_ms = self._loud_ms + took_ms, 0.0
        else:
            self._quiet_ms += took_ms
            self._loud_ms = self._loud_ms if self.speaking else 0.0
        before = self.speaking
        if self.speaking and self._quiet_ms >= END_MS:
            self.speaking, self._loud_ms = False, 0.0
        elif not self.speaking and self._loud_ms >= BEGIN_MS:
            self.speaking = True
        return self.speaking != before
