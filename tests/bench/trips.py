"""Round trips of a window: what was sent in it, what came back, how late."""

from dataclasses import asdict, dataclass


def percentile(values: list[float], share: float) -> float | None:
    """Nearest-rank percentile; None of nothing."""
    if not values:
        return None
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


@dataclass
class WindowResult:
    """Round trips of what was sent between a window's start and its end."""

    sent: int
    returned: int
    missed: int
    p50_ms: float | None
    p99_ms: float | None
    worst_ms: float | None
    mean_ms: float | None

    def as_dict(self) -> dict[str, float | int | None]:
        """For the line on stdout."""
        return asdict(self)


class Trips:
    """Collects while a window is open; returns of what was sent in it count until `collect`."""

    def __init__(self) -> None:
        self._start_s = float("inf")
        self._end_s = float("inf")
        self._sent = 0
        self._rtts_ms: list[float] = []

    def open(self, now_s: float) -> None:
        """Starts a window."""
        self._start_s, self._end_s = now_s, float("inf")
        self._sent, self._rtts_ms = 0, []

    def close(self, now_s: float) -> None:
        """Ends it: what is sent from now on is not counted."""
        self._end_s = now_s

    def sent(self, at_s: float) -> None:
        """Something went out."""
        if self._start_s <= at_s < self._end_s:
            self._sent += 1

    def returned(self, sent_s: float, now_s: float) -> None:
        """Something that went out at `sent_s` is back."""
        if self._start_s <= sent_s < self._end_s:
            self._rtts_ms.append((now_s - sent_s) * 1000)

    def collect(self) -> WindowResult:
        """The window's figures."""
        rtts = self._rtts_ms
        return WindowResult(
            sent=self._sent,
            returned=len(rtts),
            missed=self._sent - len(rtts),
            p50_ms=percentile(rtts, 0.50),
            p99_ms=percentile(rtts, 0.99),
            worst_ms=max(rtts, default=None),
            mean_ms=sum(rtts) / len(rtts) if rtts else None,
        )
