"""From RTP timestamps to the media clock.

Pure. RTP timestamps are 32 bits and wrap; they are compared as RFC 1982 serial numbers.
"""

from bisect import insort
from typing import Final, NamedTuple

__all__ = ["AnchorMap", "Piece"]

KEPT: Final = 64
"""Anchors that are remembered."""

SNAP_MS: Final = 2
"""Anchors are whole milliseconds: a step this small within a stream is none."""

_WRAP: Final = 1 << 32


class Piece(NamedTuple):
    """A run of samples of a block: where it begins in the block, how long, and its position."""

    start: int
    length: int
    sample_index: int


class _Anchor(NamedTuple):
    ticks: int
    media_ms: int
    clock_rate: int


class AnchorMap:
    """The anchors of one path."""

    def __init__(self, *, sample_rate: int, smear_ticks: int = 0) -> None:
        """Creates a map without anchors: nothing has a position yet.

        Args:
            sample_rate: Of the positions, Hz.
            smear_ticks: How far ahead of a sound its codec smears it, at 48 kHz: ahead of an anchor
                that jumps, that is no part of what came before.
        """
        self._rate = sample_rate
        self._smear_ticks = smear_ticks
        self._anchors: list[_Anchor] = []
        self._newest = 0  # unwrapped timestamp seen last
        self._seen = False
        self._next: tuple[int, int] | None = None  # ticks and index behind the last piece

    def add(self, rtp_timestamp: int, media_ms: int, *, clock_rate: int = 48_000) -> int | None:
        """Takes an anchor: from that timestamp on, the media clock counts from `media_ms`.

        Args:
            rtp_timestamp: Where, 32 bits.
            media_ms: The media clock there.
            clock_rate: Ticks a second; 0 = the media clock stands still from there on, and what
                the stream carries is silence without a place.

        Returns:
            The sample index that this timestamp had without the anchor; None = it had none.
        """
        ticks = self._unwrap(rtp_timestamp)
        before, _ = self._anchor_at(ticks)
        misplaced = self._exact(before, ticks) if before and before.clock_rate else None
        self._anchors = [anchor for anchor in self._anchors if anchor.ticks != ticks]
        insort(self._anchors, _Anchor(ticks, media_ms, clock_rate))
        del self._anchors[:-KEPT]
        return misplaced

    def place(self, rtp_timestamp: int, num_samples: int) -> list[Piece]:
        """Returns where a block belongs; what comes before the first anchor has no place."""
        ticks = self._unwrap(rtp_timestamp)
        self._newest = max(self._newest, ticks)
        pieces: list[Piece] = []
        start = 0
        while start < num_samples:
            at = ticks + start * 48_000 // self._rate
            anchor, after = self._anchor_at(at)
            end = num_samples
            if after is not None:
                end = min(end, start + max(1, (after.ticks - at) * self._rate // 48_000))
            if anchor is not None and anchor.clock_rate:
                index = self._index(anchor, at, end - start)
                length = end - start
                if after is not None:
                    length = min(length, self._end(anchor, after) - index)
                if length > 0:
                    pieces.append(Piece(start, length, index))
            start = end
        return pieces

    def _anchor_at(self, ticks: int) -> tuple[_Anchor | None, _Anchor | None]:
        """The anchor that holds at a timestamp, and the next one."""
        current: _Anchor | None = None
        for anchor in self._anchors:
            if anchor.ticks > ticks:
                return current, anchor
            current = anchor
        return current, None

    def _end(self, anchor: _Anchor, after: _Anchor) -> int:
        """The sample index at which what an anchor holds ends: never behind the next position."""
        there = after.media_ms * self._rate // 1000
        runs_on = self._exact(anchor, after.ticks)
        if abs(runs_on - there) <= SNAP_MS * self._rate // 1000:
            return there
        return min(there, self._exact(anchor, after.ticks - self._smear_ticks))

    def _index(self, anchor: _Anchor, ticks: int, num_samples: int) -> int:
        """The sample index at a timestamp, smoothed over the rounding of anchors."""
        index = self._exact(anchor, ticks)
        if self._next is not None and self._next[0] == ticks:
            expected = self._next[1]
            if abs(expected - index) <= SNAP_MS * self._rate // 1000:
                index = expected
        self._next = (ticks + num_samples * 48_000 // self._rate, index + num_samples)
        return index

    def _exact(self, anchor: _Anchor, ticks: int) -> int:
        index = anchor.media_ms * self._rate // 1000
        return index + (ticks - anchor.ticks) * self._rate // anchor.clock_rate

    def _unwrap(self, rtp_timestamp: int) -> int:
        if not self._seen:
            self._seen = True
            self._newest = rtp_timestamp
        step = (rtp_timestamp - self._newest) % _WRAP
        return self._newest + (step - _WRAP if step >= _WRAP // 2 else step)
