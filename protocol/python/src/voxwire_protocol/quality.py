"""How well the audio flows: figures of one moment, and a word for them. Pure.

The rule is every client's: protocol/vectors/quality.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["ArrivalJitter", "Grade", "Quality", "grade_of", "loss_between"]

_POOR: Final = (400, 60, 0.08, 400)
_GOOD: Final = (200, 30, 0.02, 200)
"""Round trip (ms), jitter (ms), loss and what is buffered (ms) above which it is no better."""


class Grade(StrEnum):
    """What a user would say of a telephone line."""

    EXCELLENT = "excellent"
    GOOD = "good"
    POOR = "poor"
    LOST = "lost"
    """No path carries audio."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How well the audio of a session flows; measured once a second.

    As an event it comes to those who ask for it by name (``session.on(voxwire.Quality, ...)``).

    Attributes:
        transport: What carries the audio: ``webrtc``, ``websocket``, or ``none``.
        grade: A word for it.
        round_trip_ms: Shortest recent round trip to the server, milliseconds; None = not known.
        jitter_ms: How unevenly packets come, milliseconds (RFC 3550 §6.4.1); None over WebSocket.
        loss: Share of the bot's packets lost in the last second, 0 to 1; None over WebSocket, and
            where none came.
        buffered_ms: Audio of the bot that waits to be played, milliseconds.
        concealed_ms: Audio made up so far to hide what was lost or late, milliseconds.
    """

    transport: str
    grade: Grade
    round_trip_ms: float | None
    jitter_ms: float | None
    loss: float | None
    buffered_ms: int
    concealed_ms: int


def loss_between(before: tuple[int, int], now: tuple[int, int]) -> float | None:
    """The share of packets that were lost between two looks; None when none was to come.

    Args:
        before: Packets received and packets lost since the path opened, at the first look.
        now: The same at the second.
    """
    received = now[0] - before[0]
    lost = max(0, now[1] - before[1])
    return lost / (received + lost) if received + lost > 0 else None


def grade_of(
    *,
    round_trip_ms: float | None,
    jitter_ms: float | None,
    loss: float | None,
    buffered_ms: float,
    lost: bool,
) -> Grade:
    """The word for what was measured; what is not known does not count.

    Args:
        round_trip_ms: Milliseconds.
        jitter_ms: Milliseconds.
        loss: 0 to 1.
        buffered_ms: Milliseconds.
        lost: True while no path carries audio.
    """
    if lost:
        return Grade.LOST
    figures = (round_trip_ms or 0, jitter_ms or 0, loss or 0, buffered_ms)
    for bounds, grade in ((_POOR, Grade.POOR), (_GOOD, Grade.GOOD)):
        if any(figure > bound for figure, bound in zip(figures, bounds, strict=True)):
            return grade
    return Grade.EXCELLENT


class ArrivalJitter:
    """How unevenly the packets of one RTP stream come: RFC 3550 §6.4.1, appendix A.8."""

    def __init__(self, clock_rate: int) -> None:
        """Starts with nothing received; the RTP clock's rate is in Hz."""
        self._rate = clock_rate
        self._last: tuple[int, float] | None = None
        self._jitter_ms = 0.0
        self._measured = False

    @property
    def jitter_ms(self) -> float | None:
        """Milliseconds; None before the second packet."""
        return self._jitter_ms if self._measured else None

    def note(self, timestamp: int, now_ms: float) -> None:
        """Takes the RTP timestamp (32 bits) of a packet, and when it came, milliseconds.

        One that comes behind a later one does not count.
        """
        if self._last is not None:
            ticks = (timestamp - self._last[0] + (1 << 31)) % (1 << 32) - (1 << 31)
            if ticks <= 0:
                return
            off_ms = abs(now_ms - self._last[1] - ticks * 1000 / self._rate)
            self._jitter_ms += (off_ms - self._jitter_ms) / 16
            self._measured = True
        self._last = timestamp, now_ms
