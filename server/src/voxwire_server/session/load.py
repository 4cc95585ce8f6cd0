"""Whether the process has the time for one more session: how late its loop is, and how busy.

Pure: ``now_ms`` is monotonic milliseconds. A loop that is 20 ms late is late for a frame of every
session, so new ones are turned away before those that there are can be heard to suffer.
"""

import math
from collections import deque
from typing import Final, NamedTuple

__all__ = ["Load"]

_WINDOW_MS: Final = 10_000
_LEAST_BEATS: Final = 20
"""The window is longer when it has fewer: of one that stood still once, one in twenty is late."""
_FULL_MS: Final = 5000
"""Of a shorter time nothing is judged."""
_SUSTAINED_MS: Final = _WINDOW_MS
"""For so long every window is beyond a bound, the last one all of other beats than the first."""
_REST_MS: Final = 5000
"""For so long it was not too much, and is well below it, before new sessions are taken again."""
_LONG_REST_MS: Final = 30_000
"""The same near the bound: what is allowed for good never keeps them out for good."""
_BUSY: Final = 0.9
"""The loop's thread wants so much of a core: it has no time left."""
_RESTED: Final = 0.75


class _Beat(NamedTuple):
    at_ms: float
    late_ms: float
    worked_ms: float


class Load:
    """Looks at the last ten seconds of a process.

    It judges by the 95th percentile, and by two windows that share nothing: a machine that stands
    still for two seconds makes the loop late once, a bot that loads its models some times in ten
    seconds, and a process that has too much to do over and over. What begins at a bound ends
    well below it, and not at once; near it after a longer rest.

    Args:
        max_late_ms: How late the loop may be; 0 = it is never too much.
    """

    def __init__(self, max_late_ms: int) -> None:
        self._max_late_ms = max_late_ms
        self._beats: deque[_Beat] = deque()
        self._over_since_ms: float | None = None
        self._last_over_ms = 0.0
        self.too_much = False
        """True while one more session would be too much."""

    @property
    def late_ms(self) -> float:
        """How late the loop is, the 95th percentile, milliseconds."""
        late = sorted(beat.late_ms for beat in self._beats)
        return late[math.ceil(0.95 * len(late)) - 1] if late else 0.0

    @property
    def busy(self) -> float:
        """The part of a core that the loop's thread wants."""
        if len(self._beats) < 2:
            return 0.0
        first, last = self._beats[0], self._beats[-1]
        return (last.worked_ms - first.worked_ms) / (last.at_ms - first.at_ms)

    def beat(self, now_ms: float, *, late_ms: float, worked_ms: float) -> None:
        """The loop woke up, ten times a second.

        Args:
            now_ms: When.
            late_ms: How late.
            worked_ms: What its thread has worked until now, or wanted to
                (:func:`voxwire_server.admin.demand.demand_ms`).
        """
        if not self._max_late_ms:
            return
        self._beats.append(_Beat(now_ms, late_ms, worked_ms))
        while len(self._beats) > _LEAST_BEATS and now_ms - self._beats[0].at_ms > _WINDOW_MS:
            self._beats.popleft()
        if len(self._beats) >= _LEAST_BEATS and now_ms - self._beats[0].at_ms >= _FULL_MS:
            self._judge(now_ms)

    def _judge(self, now_ms: float) -> None:
        late_ms, busy = self.late_ms, self.busy
        if late_ms > self._max_late_ms or busy > _BUSY:
            if self._over_since_ms is None:
                self._over_since_ms = now_ms
            self._last_over_ms = now_ms
            self.too_much |= now_ms - self._over_since_ms >= _SUSTAINED_MS
            return
        self._over_since_ms = None
        if self.too_much:
            well = late_ms <= self._max_late_ms / 2 and busy <= _RESTED
            rest_ms = _REST_MS if well else _LONG_REST_MS
            self.too_much = now_ms - self._last_over_ms < rest_ms
