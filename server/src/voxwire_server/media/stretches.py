"""Where the bot's voice begins and ends in a stream without timestamps. Pure.

A listener finds a place in such a stream by its sound alone: he is told on which position of the
media clock the first sound of a stretch stands, and hears it begin behind a silence (ADR 48). So a
stretch begins behind a silence, and is announced where it becomes loud. ``now_ms`` is monotonic
milliseconds; positions are samples of the media clock at the stream's rate.
"""

from typing import Final

import numpy as np

from voxwire_server.ports import Block

__all__ = ["LOUD", "QUIET_MS", "Stretches"]

LOUD: Final = 200
"""Peak (of 32768) from which on a sound is one, for both sides."""

QUIET_MS: Final = 60
"""The silence ahead of a stretch; a listener asks for 40 ms of it."""

_SILENT_MS: Final = 200
"""A stretch that has not become loud by then is announced all the same."""


class Stretches:
    """What is written into the stream, and what has to be said of it.

    For each block: :meth:`wait_ms`, then :meth:`wrote`, whose answer has to be said; :meth:`ended`
    when nothing was written for a while.

    Args:
        sample_rate: Of the stream, Hz.
    """

    def __init__(self, *, sample_rate: int) -> None:
        self._rate = sample_rate
        self._next: int | None = None  # position behind what was written; None = nothing goes on
        self._free_ms: float | None = None  # when all that was written has left
        self._begun = 0
        self._unsaid = False  # the stretch has not become loud yet
        self._off_ms = 0.0  # silence inside the stretch, which its positions do not know of

    def _dry_ms(self, now_ms: float) -> float:
        return 0.0 if self._free_ms is None else max(0.0, now_ms - self._free_ms)

    def _goes_on(self, start: int, now_ms: float) -> bool:
        return start == self._next and self._off_ms + self._dry_ms(now_ms) < QUIET_MS

    def wait_ms(self, start: int, now_ms: float) -> float:
        """How long what begins at ``start`` has to wait for the silence ahead of it."""
        if self._free_ms is None or self._goes_on(start, now_ms):
            return 0.0
        return max(0.0, self._free_ms + QUIET_MS - now_ms)

    def wrote(self, block: Block, now_ms: float, *, padding: int = 0) -> int | None:
        """A block was written, with so many samples of silence behind it.

        Returns:
            The position on which sound begins: to be said. None = nothing new.
        """
        if self._goes_on(block.start, now_ms):
            self._off_ms += self._dry_ms(now_ms)
        else:
            self._begun, self._unsaid, self._off_ms = block.start, True, 0.0
        length_ms = (block.end - block.start + padding) * 1000 / self._rate
        self._free_ms = max(now_ms, self._free_ms or 0.0) + length_ms
        self._off_ms += padding * 1000 / self._rate
        self._next = block.end
        return self._onset(block) if self._unsaid else None

    def _onset(self, block: Block) -> int | None:
        loud = np.flatnonzero(np.abs(np.frombuffer(block.pcm, "<i2").astype(np.int32)) > LOUD)
        if len(loud):
            self._unsaid = False
            return block.start + int(loud[0])
        silent = block.end - self._begun >= _SILENT_MS * self._rate // 1000
        self._unsaid = not silent
        return block.start if silent else None

    def ends_ms(self, now_ms: float) -> float | None:
        """How long until what was written last counts as the end of its stretch; None = it does."""
        if self._next is None or self._free_ms is None:
            return None
        return max(0.0, self._free_ms + QUIET_MS - now_ms)

    def ended(self, now_ms: float) -> int | None:
        """Look whether the stretch is over.

        Returns:
            Where it has ended: to be said. None = it goes on, or nothing does.
        """
        if self._next is None or self._dry_ms(now_ms) < QUIET_MS:
            return None
        end, self._next = self._next, None
        return end

    def cut(self) -> int | None:
        """What goes on is void from here on.

        Returns:
            Where it has ended: to be said. None = nothing went on.
        """
        end, self._next = self._next, None
        return end
