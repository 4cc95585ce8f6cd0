"""Which worker is next: the one with the least to do that answers. Pure."""

from collections.abc import Iterable
from typing import Final, Protocol, TypeVar

__all__ = ["QUIET_MS", "Share", "next_of"]

QUIET_MS: Final = 750
"""A worker that has said nothing for so long is held up: the others come first, milliseconds."""


class Share(Protocol):
    """What is known of a worker.

    Attributes:
        busy: What it had to do when it spoke last.
        taken: How many connections it had been handed then.
        handed: How many it has been handed by now.
        heard_ms: When it spoke last, monotonic milliseconds.
    """

    busy: int
    taken: int
    handed: int
    heard_ms: float


_Worker = TypeVar("_Worker", bound=Share)


def next_of(workers: Iterable[_Worker], now_ms: float) -> _Worker | None:
    """The worker that the next connection goes to; None = there is none."""

    def burden(worker: _Worker) -> tuple[bool, int, int]:
        quiet = now_ms - worker.heard_ms > QUIET_MS
        return quiet, worker.busy + worker.handed - worker.taken, worker.handed

    return min(workers, key=burden, default=None)
