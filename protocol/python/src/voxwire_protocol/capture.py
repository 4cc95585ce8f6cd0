"""The user's newest audio, kept by number: what a path that broke did not bring is sent again.

A client counts every sample that it captures, on one clock for the whole session, whatever path
carries it and whether or not the user is muted. It keeps what is younger than `KEPT_MS`, sent or
not, since what lay in the buffers of a socket that broke was never heard
(protocol/spec/media-clock.md, "The user's audio").

Pure: no clock is read. Every `now_ms` is milliseconds of one monotonic clock, of any origin.
"""

from collections import deque
from dataclasses import dataclass
from math import inf
from typing import Final

__all__ = ["KEPT_MS", "SEAM_MS", "KeptCapture", "Piece"]

KEPT_MS: Final = 3000
"""How long the user's audio is kept, and how much of it, milliseconds."""

SEAM_MS: Final = 60
"""What is left out where it is not known which sample came last: rather a hole than twice."""

_GRACE_MS: Final = 200
"""How much longer it is kept once it was said what is lost: the rest is on its way by then."""

_SAMPLE_BYTES: Final = 2


@dataclass(frozen=True, slots=True)
class Piece:
    """Audio that is to be sent.

    Attributes:
        index: Number of its first sample.
        pcm: int16 little-endian mono.
    """

    index: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class _Block:
    index: int
    pcm: bytes
    at_ms: float

    @property
    def end(self) -> int:
        return self.index + len(self.pcm) // _SAMPLE_BYTES


class KeptCapture:
    """Keeps one session's microphone and says what of it is to be sent next."""

    def __init__(self, *, sample_rate: int, kept_ms: int = KEPT_MS) -> None:
        """Creates it with nothing captured and no path.

        Args:
            sample_rate: Of the user's audio, Hz.
            kept_ms: How long it is kept, milliseconds.
        """
        self.next_index = 0
        """Number of the sample that is captured next."""
        self.lost_samples = 0
        """Samples that the server will never have because they became too old to be kept."""
        self._rate = sample_rate
        self._kept_ms = kept_ms
        self._max_samples = kept_ms * sample_rate // 1000
        self._blocks: deque[_Block] = deque()
        self._floor = 0  # nothing before it is owed: the user was muted there
        self._counted = 0  # what is lost before it has been counted
        self._cursor: int | None = None  # what is sent next; None = no path takes audio
        self._owed_until_ms = -inf  # until then what was there when a path began is not let go
        self._owed_end = 0

    @property
    def waiting_samples(self) -> int:
        """Samples that a path has yet to send; 0 without a path."""
        return 0 if self._cursor is None else self.next_index - self._cursor

    def capture(self, pcm: bytes, now_ms: float) -> None:
        """Takes what the microphone gave.

        Args:
            pcm: int16 little-endian mono; kept, not copied.
            now_ms: When it was captured.
        """
        if pcm:
            block = _Block(self.next_index, pcm, now_ms)
            self._blocks.append(block)
            self.next_index = block.end
        self._trim(now_ms)

    def mute(self, num_samples: int = 0) -> None:
        """The user is not heard: the count goes on, nothing is kept, what waited is forgotten."""
        self.next_index += num_samples
        self._floor = self.next_index
        self._blocks.clear()
        if self._cursor is not None:
            self._cursor = self.next_index

    def park(self) -> None:
        """No path takes audio any more."""
        self._cursor = None

    def resume(self, index: int, now_ms: float) -> int:
        """A path takes audio, and the server wants it from `index` on.

        Args:
            index: Number of the sample that the server wants next.
            now_ms: Now.

        Returns:
            Samples from there on that are not kept any more; they count as lost. The rest is kept
            until a path that sends it at once has done so.
        """
        self._cursor, self._owed_until_ms = None, -inf
        self._trim(now_ms)
        start = min(max(index, self._floor), self.next_index)
        first = self._blocks[0].index if self._blocks else self.next_index
        self._cursor = max(start, first)
        self._owed_until_ms, self._owed_end = now_ms + _GRACE_MS, self.next_index
        self._count(start, self._cursor)
        return self._cursor - start

    def resume_after(self, age_ms: float, now_ms: float) -> int:
        """The same where the server knows only how long ago the newest of its audio came."""
        back = max(0, int((age_ms - SEAM_MS) * self._rate / 1000))
        return self.resume(max(0, self.next_index - back), now_ms)

    def follow(self) -> None:
        """A path takes audio from now on; nothing is sent again."""
        self._cursor = self.next_index

    def peek(self, now_ms: float) -> Piece | None:
        """What is to be sent next, at most one block as it was captured; None = nothing."""
        self._trim(now_ms)
        cursor = self._cursor
        if cursor is None:
            return None
        found: _Block | None = None
        for block in reversed(self._blocks):  # it is one of the newest, but after a break
            if block.end <= cursor:
                break
            found = block
        if found is None:
            return None
        return Piece(cursor, found.pcm[(cursor - found.index) * _SAMPLE_BYTES :])

    def sent(self, piece: Piece) -> None:
        """What `peek` returned is on its way."""
        if self._cursor is not None:
            end = piece.index + len(piece.pcm) // _SAMPLE_BYTES
            self._cursor = max(self._cursor, end)

    def _trim(self, now_ms: float) -> None:
        """Lets go of what is too old or too much; the newest block stays while it is young."""
        blocks = self._blocks
        owed_end = self._owed_end if now_ms < self._owed_until_ms else 0
        while blocks:
            oldest = blocks[0]
            young = now_ms - oldest.at_ms <= self._kept_ms
            if young and (len(blocks) == 1 or self.next_index - oldest.index <= self._max_samples):
                break
            if oldest.end <= owed_end:
                break
            blocks.popleft()
            if self._cursor is not None and oldest.end > self._cursor:
                self._count(self._cursor, oldest.end)
                self._cursor = oldest.end

    def _count(self, start: int, end: int) -> None:
        """Counts what is lost, once."""
        self.lost_samples += max(0, end - max(start, self._counted))
        self._counted = max(self._counted, end)
