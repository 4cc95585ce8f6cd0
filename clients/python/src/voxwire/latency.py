"""How long the user waited for the bot, over the turns of a session. Pure."""

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from voxwire_protocol.events import TurnMetrics

__all__ = ["Latency", "LatencyBucket", "LatencyLog", "nearest_rank", "waited_ms"]

_NumberT = TypeVar("_NumberT", int, float)

BOUNDS_MS: Final = (0, 300, 500, 800, 1200, 2000, 5000)
"""Where the buckets begin: an answer feels immediate below 300 ms and slow above 800."""


@dataclass(frozen=True, slots=True)
class LatencyBucket:
    """Turns that took from `from_ms` to below `to_ms`; None = no end."""

    from_ms: int
    to_ms: int | None
    turns: int


@dataclass(frozen=True, slots=True)
class Latency:
    """How long the user waited, from the end of speech to the bot's first sound at the speaker.

    Attributes:
        turns: How many turns were measured.
        p50_ms: Half of them were not longer; None before the first.
        p95_ms: 95 of 100 were not longer.
        max_ms: The longest.
        histogram: How many were how long.
        last: The stages of the newest.
    """

    turns: int
    p50_ms: int | None
    p95_ms: int | None
    max_ms: int | None
    histogram: tuple[LatencyBucket, ...]
    last: TurnMetrics | None

    def __str__(self) -> str:
        """The histogram for people: a line a bucket."""
        if not self.turns:
            return "no turn was measured"
        most = max(bucket.turns for bucket in self.histogram)
        lines = [f"{self.turns} turns, p50 {self.p50_ms} ms, p95 {self.p95_ms} ms"]
        for bucket in self.histogram:
            upper = "     " if bucket.to_ms is None else f"{bucket.to_ms:5}"
            bar = "█" * round(30 * bucket.turns / most)
            lines.append(f"{bucket.from_ms:5} – {upper} ms  {bucket.turns:4}  {bar}".rstrip())
        return "\n".join(lines)


def nearest_rank(ordered: Sequence[_NumberT], share: int) -> _NumberT | None:
    """A percentile: the least value that `share` of 100 do not exceed; None of no values.

    Args:
        ordered: From the least on.
        share: 1 to 100.
    """
    return ordered[-(-share * len(ordered) // 100) - 1] if ordered else None


def waited_ms(turn: TurnMetrics) -> int:
    """How long the user waited in a turn, milliseconds; an older server tells it in two parts."""
    if turn.total_ms is not None:
        return turn.total_ms
    return turn.response_ms + turn.playout_delay_ms


class LatencyLog:
    """Takes what turns took, each once: a turn that is told again is the same turn, corrected."""

    def __init__(self) -> None:
        """Begins with no turn."""
        self._turns: dict[str, int] = {}
        self._sorted: list[int] = []
        self._last: TurnMetrics | None = None

    def take(self, turn: TurnMetrics) -> None:
        """Takes one."""
        before = self._turns.get(turn.turn_id)
        if before is not None:
            self._sorted.remove(before)
        self._turns[turn.turn_id] = waited = waited_ms(turn)
        insort(self._sorted, waited)
        if before is None or self._last is None or self._last.turn_id == turn.turn_id:
            self._last = turn

    @property
    def latency(self) -> Latency:
        """What it came to so far."""
        ends = [*BOUNDS_MS[1:], None]
        counts = [0] * len(BOUNDS_MS)
        for waited in self._sorted:
            counts[max(0, bisect_right(BOUNDS_MS, waited) - 1)] += 1
        return Latency(
            turns=len(self._sorted),
            p50_ms=nearest_rank(self._sorted, 50),
            p95_ms=nearest_rank(self._sorted, 95),
            max_ms=nearest_rank(self._sorted, 100),
            histogram=tuple(
                LatencyBucket(start, end, turns)
                for start, end, turns in zip(BOUNDS_MS, ends, counts, strict=True)
            ),
            last=self._last,
        )
