"""What came of many sessions. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from voxwire.latency import nearest_rank

__all__ = ["Load", "told"]

_SHARES: Final = {"p50": 50, "p95": 95, "p99": 99, "max": 100}


@dataclass
class Load:
    """What came of the sessions so far.

    Attributes:
        connect_ms: How long each took until it was ready.
        turn_ms: How long a user waited for each answer.
        unanswered: Questions that the bot said nothing to for 10 s.
        errors: Why sessions failed, by code.
        running: Sessions that are up.
        done: Sessions that ended in order.
        early: Those of them that the bot or the server ended before their time.
        stopped: Sessions that Ctrl-C ended.
        lost: How often a connection was lost.
        concealed_ms: Audio made up, over all sessions.
    """

    connect_ms: list[float] = field(default_factory=list[float])
    turn_ms: list[float] = field(default_factory=list[float])
    unanswered: int = 0
    errors: Counter[str] = field(default_factory=Counter[str])
    running: int = 0
    done: int = 0
    early: int = 0
    stopped: int = 0
    lost: int = 0
    concealed_ms: int = 0

    @property
    def failed(self) -> int:
        """Sessions that failed."""
        return sum(self.errors.values())

    def as_json(self) -> dict[str, Any]:
        """The figures, for a machine."""
        return {
            "sessions": self.done + self.failed + self.stopped,
            "failed": self.failed,
            "ended_early": self.early,
            "stopped": self.stopped,
            "errors": dict(self.errors),
            "connections_lost": self.lost,
            "concealed_ms": self.concealed_ms,
            "turns": len(self.turn_ms),
            "unanswered": self.unanswered,
            "connect_ms": _figures(self.connect_ms),
            "turn_ms": _figures(self.turn_ms),
        }

    def __str__(self) -> str:
        """The figures, for people."""
        ended = f"{self.done + self.failed} ended, {self.failed} failed"
        early = f", {self.early} ended by the other side" if self.early else ""
        stopped = f", {self.stopped} stopped by Ctrl-C" if self.stopped else ""
        causes = "".join(f"; {count} {code}" for code, count in self.errors.most_common())
        silent = f"; {self.unanswered} questions not answered" if self.unanswered else ""
        return "\n".join(
            [
                f"sessions  {ended}{early}{stopped}{causes}",
                f"connect   {told(self.connect_ms)}",
                f"turns     {told(self.turn_ms)}{silent}",
                f"network   {self.lost} connections lost, {self.concealed_ms} ms concealed",
            ]
        )


def _figures(values: Sequence[float]) -> dict[str, float | None]:
    ordered = sorted(values)
    found = {name: nearest_rank(ordered, share) for name, share in _SHARES.items()}
    return {name: None if ms is None else round(ms, 1) for name, ms in found.items()}


def told(values: Sequence[float]) -> str:
    """How many there are, and their percentiles, milliseconds."""
    if not values:
        return "none"
    figures = ", ".join(f"{name} {value:.0f}" for name, value in _figures(values).items())
    return f"{len(values)}: {figures} ms"
