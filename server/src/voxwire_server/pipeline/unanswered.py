"""A turn of the user in which nothing was said: a cough, a door. No answer is owed to it."""

from collections.abc import Callable
from typing import Final

from voxwire_protocol.clocks import Clock, Timer

__all__ = ["WordlessTurns"]

WAIT_MS: Final = 3000
"""How long a recogniser may take after the turn's end to say what was said."""


class WordlessTurns:
    """Notices that a turn has brought no transcript, so that nobody waits for an answer for ever.

    Args:
        clock: The session's clock.
        drop: Called when it is plain that no answer will come.
    """

    def __init__(self, clock: Clock, drop: Callable[[], None]) -> None:
        self._clock = clock
        self._drop = drop
        self._words = False
        self._timer: Timer | None = None

    def started(self) -> None:
        """The user took the floor."""
        self._words = False
        self.settled()

    def words(self) -> None:
        """Something was recognised, or the model answers: this turn is not empty."""
        self._words = True
        self.settled()

    def stopped(self) -> None:
        """The user's turn ended."""
        self.settled()
        if not self._words:
            self._timer = self._clock.call_later(WAIT_MS, self._drop)

    def settled(self) -> None:
        """Nothing is waited for any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
