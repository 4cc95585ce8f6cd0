"""The bot's audio of a session with a stock bot: where it lies on the media clock.

Nothing says it, so samples count: behind one another as they come.
"""

import contextlib
import math
from collections import deque
from collections.abc import Generator
from typing import Final

from voxwire._path import PLAYOUT_RATE, Sink
from voxwire.playout import Samples

__all__ = ["Inflow"]

MAX_EARLY: Final = 250
"""Pieces that are kept until the session takes audio."""


class Inflow:
    """Places the samples of one connection after the other.

    Attributes:
        end: Position behind the last sample that came.
    """

    def __init__(self) -> None:
        """Creates it at position 0."""
        self.end: int = 0
        self._sink: Sink | None = None
        self._early: deque[tuple[int, Samples]] = deque(maxlen=MAX_EARLY)
        self._cut_at: int = 0

    def push(self, samples: Samples) -> None:
        """Takes the samples that follow."""
        self.push_at(self.end, samples)

    def push_at(self, index: int, samples: Samples) -> None:
        """Takes samples at a position."""
        self.end = max(self.end, index + len(samples))
        if self._sink is None:
            self._early.append((index, samples))
        else:
            self._sink.push(index, samples)

    def cut(self) -> int | None:
        """Voids what has come and has not sounded.

        Returns:
            Where what comes next begins, milliseconds; None = nothing has come since the last cut.
        """
        if self.end == self._cut_at:
            return None
        until_ms = math.ceil(self.end * 1000 / PLAYOUT_RATE)
        self.end = self._cut_at = until_ms * PLAYOUT_RATE // 1000
        self._early.clear()
        return until_ms

    @contextlib.contextmanager
    def into(self, sink: Sink) -> Generator[None]:
        """As long as this is entered, `sink` gets the audio; what came before first."""
        self._sink = sink
        for index, samples in self._early:
            sink.push(index, samples)
        self._early.clear()
        try:
            yield
        finally:
            if self._sink is sink:
                self._sink = None
