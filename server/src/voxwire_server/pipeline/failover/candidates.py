"""Who may be asked, in which order, and who is left alone for a while. Pure.

Times are monotonic seconds.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from pipecat.processors.frame_processor import FrameProcessor

__all__ = ["Breaker", "Candidate", "Roster"]

_FAILURES: Final = 5
_WITHIN_S: Final = 10.0
_OPEN_S: Final = 30.0
_FOR_GOOD_S: Final = 300.0
"""A key that is refused is not right a minute later."""
_REST_S: Final = 30.0


class Breaker:
    """Opens when a provider has failed five times within 10 s, whoever asked, for 30 s; at once and
    for 5 minutes when it says that asking again is no use.
    """

    def __init__(self) -> None:
        self._failed: deque[float] = deque(maxlen=_FAILURES)
        self._open_until = 0.0

    def failed(self, now_s: float, *, for_good: bool = False) -> None:
        """It has failed."""
        self._failed.append(now_s)
        if for_good:
            self._open_until = now_s + _FOR_GOOD_S
        elif len(self._failed) == _FAILURES and now_s - self._failed[0] <= _WITHIN_S:
            self._open_until = now_s + _OPEN_S

    def worked(self) -> None:
        """It has done what it was asked."""
        self._failed.clear()
        self._open_until = 0.0

    def is_open(self, now_s: float) -> bool:
        """Whether it is not asked."""
        return now_s < self._open_until


@dataclass(frozen=True)
class Candidate:
    """A provider that may be asked.

    Attributes:
        name: What logs call it.
        make: Makes a service of it, an unmodified Pipecat one, anew for each time that it is begun.
        breaker: Its own, shared by all sessions.
    """

    name: str
    make: Callable[[], FrameProcessor]
    breaker: Breaker = field(default_factory=Breaker)


class Roster:
    """The candidates of one session.

    One that has failed here rests for 30 s, so that the next turn does not wait for it again.

    Args:
        candidates: In the order in which they are asked; at least one.
    """

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        if not candidates:
            raise ValueError("nobody can be asked")
        self._candidates = tuple(candidates)
        self._rests_until: dict[str, float] = {}

    def next(self, now_s: float, tried: Iterable[str] = ()) -> Candidate | None:
        """Who is asked next; where all rest, the one whose rest is over first.

        Args:
            now_s: The time.
            tried: Names of those that were asked already.
        """
        left = [each for each in self._candidates if each.name not in set(tried)]
        awake = (each for each in left if not self._rests(each, now_s))
        return next(awake, None) or min(left, key=self._until, default=None)

    def failed(self, candidate: Candidate, now_s: float, *, for_good: bool = False) -> None:
        """One has failed."""
        candidate.breaker.failed(now_s, for_good=for_good)
        self._rests_until[candidate.name] = now_s + _REST_S

    def worked(self, candidate: Candidate) -> None:
        """One has done what it was asked."""
        candidate.breaker.worked()
        self._rests_until.pop(candidate.name, None)

    def _until(self, candidate: Candidate) -> float:
        return self._rests_until.get(candidate.name, 0.0)

    def _rests(self, candidate: Candidate, now_s: float) -> bool:
        return candidate.breaker.is_open(now_s) or now_s < self._until(candidate)
