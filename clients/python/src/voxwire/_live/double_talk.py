"""Whether the user speaks while the bot does. Pure: 10 ms a time."""

from typing import Final

from voxwire._live.adaptive import Split

__all__ = ["UserDetector"]

_ABOVE_DOUBT: Final = 10**0.9
"""What is left is the user's if it is 9 dB above the echo that may be in it, and ..."""

_ABOVE_ECHO: Final = 10**-0.4
"""... not 4 dB below what was taken out, which is what a filter that is a little off leaves."""

_FRAMES: Final = 3
"""It has to be for so long: 30 ms. A drum is shorter."""

_HOLD_FRAMES: Final = 30
"""He is taken to go on for 300 ms: there are pauses in words, and quiet sounds."""

_SILENT: Final = 16.0
"""Mean square of an echo that nobody hears, -78 dB of full scale."""


class UserDetector:
    """Says of each 10 ms whether the user is to be heard.

    Attributes:
        heard: Whether he is: nothing else sounds, or he is louder than what is left of the echo.
    """

    def __init__(self) -> None:
        """Nothing sounds."""
        self.heard = True
        self._frames = 0
        self._hold = 0

    def take(self, split: Split) -> bool:
        """Whether the user is to be heard in these 10 ms."""
        if split.doubt < _SILENT:
            self._frames = self._hold = 0
            self.heard = True
            return True
        self._frames = self._frames + 1 if self._above(split) else 0
        if self._frames >= _FRAMES or (self._hold and self._frames):
            self._hold = _HOLD_FRAMES
        else:
            self._hold = max(0, self._hold - 1)
        self.heard = self._hold > 0
        return self.heard

    @staticmethod
    def _above(split: Split) -> bool:
        return (
            not split.louder
            and split.rest_power > _ABOVE_DOUBT * split.doubt
            and split.rest_power > _ABOVE_ECHO * split.echo_power
        )
