"""Where a caller is on the media clock, by the marks that come back from the far end. Pure.

A vendor plays what it is sent from a buffer and says when a mark in it was reached. That is one way
old when it comes, and what is told to it arrives one way later; half a round trip is taken for one
way. What lies behind the vendor (its jitter buffer, the telephone network) is not seen from here.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from voxwire_server.ports import Report

__all__ = ["Marks"]

_MAX_TRIPS: Final = 8
_MAX_OUTSTANDING: Final = 256
_PROBES: Final = 5
_SLACK_MS: Final = 1000
"""How late the last mark of a stretch may be; then it is taken for lost."""


@dataclass(slots=True)
class _Sent:
    """A mark that has not come back.

    Attributes:
        name: Its name.
        media_ms: What stands before it was placed up to there; None = it only measures the way.
        at_ms: When it was sent.
        alone: Nothing stood before it: it comes straight back.
    """

    name: str
    media_ms: float | None
    at_ms: float
    alone: bool


class Marks:
    """The marks of one call.

    Args:
        echoes: Whether one with nothing before it comes straight back, and measures the way.

    Attributes:
        rtt_ms: To the vendor and back, as it was lately; 0 = not known yet.
    """

    def __init__(self, *, echoes: bool = True) -> None:
        self.rtt_ms = 0.0
        self._echoes = echoes
        self._echoed = False
        self._trips: deque[float] = deque(maxlen=_MAX_TRIPS)
        self._outstanding: deque[_Sent] = deque(maxlen=_MAX_OUTSTANDING)
        self._cuts = 0
        self._number = 0
        self._plays = False
        self._begun_ms = self._begun_at_ms = 0.0
        self._known: tuple[float, float] | None = None
        self._end_ms = 0.0

    # the way

    def pinged(self, rtt_ms: float) -> None:
        """A ping of the WebSocket took so long: that counts where no mark says more."""
        if not self._echoed:
            self._trip(rtt_ms)

    def _trip(self, rtt_ms: float) -> None:
        self._trips.append(rtt_ms)
        self.rtt_ms = sorted(self._trips)[(len(self._trips) - 1) // 2]

    def probe(self, now_ms: float) -> str:
        """Name of a mark that only measures the way; empty = it is known, or would not do so."""
        known = self._echoed and len(self._trips) >= _PROBES
        if not self._echoes or known or self._outstanding or self.plays(now_ms):
            return ""
        return self._sent(None, now_ms, alone=True)

    # what is sent

    def begins(self, start_ms: float, now_ms: float) -> str | None:
        """Audio is about to be sent; if the far end has none left, that begins a stretch.

        Returns:
            Name of a mark to send before it, empty = none; None = it goes on with what there is.
        """
        if self.plays(now_ms):
            return None
        self._plays, self._known = True, None
        self._begun_ms = self._end_ms = start_ms
        self._begun_at_ms = now_ms
        return self._sent(start_ms, now_ms, alone=True) if self._echoes else ""

    def plays(self, now_ms: float) -> bool:
        """Whether the far end has something to play still, as far as is known."""
        from_ms, at_ms = self._known or (self._begun_ms, self._begun_at_ms)
        late_ms = self.rtt_ms + _SLACK_MS
        return self._plays and now_ms < at_ms + (self._end_ms - from_ms) + late_ms

    def sent(self, end_ms: float) -> None:
        """Audio up to there was sent."""
        self._end_ms = end_ms

    def ends(self, now_ms: float) -> str:
        """Name of a mark to send behind it."""
        return self._sent(self._end_ms, now_ms, alone=False)

    def _sent(self, media_ms: float | None, now_ms: float, *, alone: bool) -> str:
        self._number += 1
        name = f"{self._cuts}.{self._number}"
        self._outstanding.append(_Sent(name, media_ms, now_ms, alone))
        return name

    # what comes back

    def came(self, name: str, now_ms: float) -> Report | None:
        """A mark came back; None = it says nothing of the caller: cleared, or none of ours."""
        if all(mark.name != name for mark in self._outstanding):
            return None
        mark = self._outstanding.popleft()
        while mark.name != name:
            mark = self._outstanding.popleft()
        if mark.alone:
            if not self._echoed:
                self._echoed = True
                self._trips.clear()
            self._trip(now_ms - mark.at_ms)
        if mark.media_ms is None:
            return None
        self._known = mark.media_ms, now_ms
        self._plays = mark.media_ms < self._end_ms
        if not self._plays:
            return Report(mark.media_ms, playing=False)
        position_ms = min(mark.media_ms + self.rtt_ms / 2, self._end_ms)
        return Report(position_ms, playing=True)

    def presumed(self, now_ms: float) -> Report | None:
        """Where the caller is if the far end began to play when the first audio reached it.

        For a far end from which no mark comes straight back: its first one comes with the end of
        what it stands behind. None = a mark has said more, or the way is not known.
        """
        if self._known is not None or not self.rtt_ms or not self._plays:
            return None
        since_ms = max(0.0, now_ms - self._begun_at_ms - self.rtt_ms / 2)
        return Report(min(self._begun_ms + since_ms, self._end_ms), playing=True)

    # what is cut

    def cut(self, now_ms: float, *, left_ms: float | None = None) -> float:
        """Everything is told to be dropped now; marks that are out mean nothing any more.

        Args:
            now_ms: Monotonic milliseconds.
            left_ms: Where what has not left begins; None = all of it has.

        Returns:
            Where the caller is when that arrives, milliseconds of the media clock.
        """
        if self._known is None:
            position_ms = self._begun_ms + now_ms - self._begun_at_ms
        else:
            media_ms, at_ms = self._known
            position_ms = media_ms + now_ms - at_ms + self.rtt_ms
        end_ms = self._end_ms if left_ms is None else min(left_ms, self._end_ms)
        self._cuts += 1
        self._outstanding.clear()
        self._plays = False
        return min(position_ms, end_ms)
