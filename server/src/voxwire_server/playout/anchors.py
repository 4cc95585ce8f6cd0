"""Where the bot's voice stands in a stream that never stops, and when the listener is told so.

Packets run on with wall time, voice or not; a ``MediaAnchor`` says from which position of the track
on which position of the media clock is heard (ADR 3). It travels on another wire than the packets,
so it is said ahead of the packet that it names. Pure: no clock reads, no I/O; ``now_ms`` is
monotonic milliseconds, all positions are samples at the voice's rate.
"""

from dataclasses import dataclass
from typing import Final

__all__ = ["LEAD_MS", "SHED_WINDOW", "Anchor", "AnchorSchedule"]

LEAD_MS: Final = 10
"""An anchor that is said less than this ahead of its packet could come behind it."""

SHED_WINDOW: Final = 25
"""Blocks over which a live source's backlog must last before it is shed."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """From ``track`` on the track carries the media clock from ``media`` on, both in samples."""

    media: int
    track: int

    @property
    def offset(self) -> int:
        """Media position less track position."""
        return self.media - self.track


class AnchorSchedule:
    """What the listener knows of the mapping, and what has to be said next.

    For each block of the track: :meth:`pulled`, then, if voice waits, :meth:`skips` and
    :meth:`stands`; where it does not stand yet, the block is silent and :meth:`announce` gives what
    to say. Between the blocks, when voice is placed: :meth:`placed`. Every anchor that is returned
    has to be said at once.

    Args:
        sample_rate: Of the track and the media clock, Hz.
        block_samples: Length of a block of the track.
    """

    def __init__(self, *, sample_rate: int, block_samples: int) -> None:
        self._rate = sample_rate
        self._block_samples = block_samples
        self._told: list[Anchor] = []  # by track: the last one at or before a block holds for it
        self._said: Anchor | None = None  # the newest of them
        self._next = 0
        self._next_at_ms = 0.0
        self._backlogs: list[int] = []
        self._excess = 0

    def reset(self) -> None:
        """The listener could not play for a while: it is told again before it hears anything."""
        self._told.clear()
        self._said = None
        self._excess = 0

    def pulled(self, first: int, now_ms: float) -> None:
        """The block at position ``first`` is made now; the next one is due a block later."""
        self._next = first + self._block_samples
        self._next_at_ms = now_ms + self._block_samples * 1000 / self._rate
        while len(self._told) > 1 and self._told[1].track <= first:
            del self._told[0]

    def stands(self, start: int, first: int) -> bool:
        """True when the listener knows that the block at ``first`` is position ``start``."""
        return start - first == self._offset_at(first)

    def announce(self, start: int) -> Anchor | None:
        """Have voice from ``start`` begin with the next block.

        Returns:
            What to say; None when that has been said.
        """
        anchor = Anchor(start, self._next)
        return None if anchor == self._said else self._say(anchor)

    def placed(self, start: int, now_ms: float) -> Anchor | None:
        """Voice waits from ``start`` on: say where it will stand, ahead of the block it is in.

        Returns:
            What to say, naming the block after the next where that one is too near; None when it
            is known, or no block was pulled yet.
        """
        # what is about to be skipped does not begin anything
        begins = start + self._excess
        if not self._next or begins - self._next == self._offset_at(self._next):
            return None
        said = self._said
        if said is not None and said.media == start and said.track >= self._next:
            return None
        soon = self._next_at_ms - now_ms < LEAD_MS
        return self._say(Anchor(start, self._next + (self._block_samples if soon else 0)))

    def _offset_at(self, first: int) -> int | None:
        return next((a.offset for a in reversed(self._told) if a.track <= first), None)

    def _say(self, anchor: Anchor) -> Anchor:
        self._told = [told for told in self._told if told.track != anchor.track]
        self._told.append(anchor)
        self._told.sort(key=lambda told: told.track)
        self._said = anchor
        self._excess = 0
        return anchor

    # a live source that is behind

    def skips(self, start: int, first: int) -> int:
        """How much live voice to drop before the block at ``first``, which begins at ``start``.

        It was announced with the block before, so it costs no silence; what came between (a flush,
        an utterance) is not dropped.
        """
        excess, self._excess = self._excess, 0
        return excess if self._said == Anchor(start + excess, first) else 0

    def sent(self, backlog: int, start: int | None) -> Anchor | None:
        """A block was sent; drop what a live source (echo, translation) lastingly is behind.

        Args:
            backlog: Live voice that waited before the block was taken; 0 = none, or an utterance's,
                of which nothing is dropped.
            start: Position of what is to be sent next; None = nothing waits.

        Returns:
            What to say, once the backlog has not been below a block's length for 25 blocks.
        """
        self._backlogs.append(backlog)
        if len(self._backlogs) < SHED_WINDOW:
            return None
        excess = min(self._backlogs) - self._block_samples
        self._backlogs.clear()
        if excess <= 0 or start is None:
            return None
        anchor = self._say(Anchor(start + excess, self._next))
        self._excess = excess
        return anchor
