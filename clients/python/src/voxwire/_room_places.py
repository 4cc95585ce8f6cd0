"""Where on the media clock the sound of a stream without timestamps lies: an estimate, by ear.

Pure: `now_ms` is passed in. The server says at which position the first sound of a stretch stands,
about when it leaves (`MediaAnchor.estimated`); here that sound is heard to begin behind a silence.
What follows is counted. protocol/spec/media-clock.md, "Daily".
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from voxwire.playout import QUIET, Samples

__all__ = ["Placed", "RoomPlaces"]

LOUD: Final = 200
"""Peak (of 32768) from which on a sound is one, for both sides."""

QUIET_MS: Final = 40
"""A sound begins behind at least this much silence."""

PREROLL_MS: Final = 20
"""So much of what comes ahead of its sound belongs to a stretch."""

PATIENCE_MS: Final = 400
"""A stretch whose sound has not begun by then is placed by the clock."""

BEHIND_MS: Final = 80
"""How much later than the control channel a room brings what was sent together, about."""

KEPT_MS: Final = 800
"""Sound without a place is kept for so long: the control channel may be the slower one."""

SLACK_MS: Final = 40
"""A jitter buffer stretches sound: the end of a stretch may come this much early."""

IDLE_MS: Final = 400
"""After so much silence on end nothing is placed until there is sound again."""


class Placed(NamedTuple):
    """Samples with their place.

    Attributes:
        sample_index: Position of the first one.
        samples: The samples.
        begins: True for the first of a stretch: what was placed there, or behind it, is void.
    """

    sample_index: int
    samples: Samples
    begins: bool


@dataclass(slots=True)
class _Stretch:
    """What the server has said of one.

    Attributes:
        index: Position of its first sound.
        said_ms: When that was said.
        said_at: Where the stream was then, in samples that had come.
        end: Position of its end; None = it goes on.
        at: Where in the stream its first sound is; None = not heard yet.
    """

    index: int
    said_ms: float
    said_at: int
    end: int | None = None
    at: int | None = None


class RoomPlaces:
    """Places one stream, which never stops: silence comes, too."""

    def __init__(self, *, sample_rate: int) -> None:
        """Nothing has a place yet.

        Args:
            sample_rate: Of the stream and the positions, Hz.
        """
        self._rate = sample_rate
        self._came = 0  # samples so far
        self._quiet = 0  # samples of silence that came last
        self._still = 0  # the same, of silence in which there is nothing at all
        self._onsets: deque[int] = deque()  # where sounds begin, in the stream
        self._unplaced: deque[tuple[int, Samples]] = deque()
        self._wanted: deque[_Stretch] = deque()
        self._current: _Stretch | None = None
        self._from = 0  # no stretch begins before this

    def _samples(self, duration_ms: float) -> int:
        return round(duration_ms * self._rate / 1000)

    def begins(self, media_ms: int, now_ms: float) -> list[Placed]:
        """The server says that sound begins; returns what has its place by that."""
        index = self._samples(media_ms)
        self._wanted.append(_Stretch(index, now_ms, self._came))
        return self._settle(now_ms)

    def ends(self, media_ms: int) -> None:
        """The server says that nothing follows behind that position for now."""
        last = self._wanted[-1] if self._wanted else self._current
        if last is None or last.end is not None:
            return
        last.end = self._samples(media_ms)
        if last.end <= last.index and self._wanted:
            self._wanted.pop()  # it was cut before it became loud
        self._finish()

    def take(self, samples: Samples, now_ms: float) -> list[Placed]:
        """Samples came; returns what of all that came has a place now, in order."""
        at = self._came
        self._came += len(samples)
        self._listen(at, samples)
        placed: list[Placed] = []
        if self._current is not None:
            samples, at, placed = self._follow(at, samples)
        if len(samples):
            self._unplaced.append((at, samples))
        while self._unplaced and self._unplaced[0][0] < self._came - self._samples(KEPT_MS):
            self._unplaced.popleft()
        return placed + self._settle(now_ms)

    def _listen(self, at: int, samples: Samples) -> None:
        """Notes where sounds begin."""
        level = np.abs(samples.astype(np.int32))
        still = level.max(initial=0) <= QUIET
        self._still = self._still + len(samples) if still else 0
        loud = np.flatnonzero(level > LOUD)
        if not len(loud):
            self._quiet += len(samples)
            return
        enough, before = self._samples(QUIET_MS), at - self._quiet - 1
        for position in loud:
            if at + int(position) - before > enough:
                self._onsets.append(at + int(position))
            before = at + int(position)
        self._quiet = at + len(samples) - 1 - before
        while self._onsets and self._onsets[0] < self._came - self._samples(KEPT_MS):
            self._onsets.popleft()

    def _follow(self, at: int, samples: Samples) -> tuple[Samples, int, list[Placed]]:
        """Places what goes on; returns what is left, and where that is."""
        current = self._current
        assert current is not None and current.at is not None
        index = current.index + at - current.at
        length = len(samples)
        if current.end is not None:
            length = min(length, max(0, current.end - index))
        placed: list[Placed] = []
        if length and self._still < self._samples(IDLE_MS):
            placed.append(Placed(index, samples[:length], begins=False))
        if length < len(samples):
            self._end_at(at + length)
        return samples[length:], at + length, placed

    def _finish(self) -> None:
        """Ends the stretch that goes on, if all of it has come."""
        current = self._current
        if current is None or current.end is None or current.at is None:
            return
        end_at = current.at + current.end - current.index
        if end_at <= self._came:
            self._end_at(end_at)

    def _end_at(self, at: int) -> None:
        self._current = None
        self._from = max(self._from, at - self._samples(SLACK_MS))

    def _settle(self, now_ms: float) -> list[Placed]:
        """Finds the stretch that is waited for, and places what of it has come."""
        placed: list[Placed] = []
        while self._wanted and self._current is None:
            stretch = self._wanted[0]
            at = next((at for at in self._onsets if at >= self._from), None)
            if at is None and now_ms - stretch.said_ms >= PATIENCE_MS:
                at = max(self._from, stretch.said_at + self._samples(BEHIND_MS))
            if at is None:
                break
            self._wanted.popleft()
            stretch.at, self._current = at, stretch
            self._from = at + 1
            placed += self._catch_up(stretch, at)
        return placed

    def _catch_up(self, stretch: _Stretch, at: int) -> list[Placed]:
        begin = at - min(self._samples(PREROLL_MS), stretch.index)
        pieces = [(n, samples) for n, samples in self._unplaced if n + len(samples) > begin]
        self._unplaced.clear()
        placed: list[Placed] = []
        for n, samples in pieces:
            if self._current is None:
                self._unplaced.append((n, samples))
                continue
            skip = max(0, begin - n)
            rest, rest_at, found = self._follow(n + skip, samples[skip:])
            if found and not placed:
                found[0] = found[0]._replace(begins=True)
            placed += found
            if len(rest):
                self._unplaced.append((rest_at, rest))
        return placed
