"""How fast sessions may begin, so that those that there are hear nothing of it.

To begin one costs some 20 ms of the event loop, and what it costs when its bot speaks is seen
later. So many at once are let in one after the other, more slowly the less time the loop has left,
and no more than it has time for when each turns out to cost as much as those before.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from voxwire_protocol.clocks import Clock
from voxwire_server.session.refusals import BusyError

__all__ = ["PacedStarts", "StartPace"]

_WINDOW_MS: Final = 1000
"""What the pace goes by: a start that was too much is seen within it."""
_GAP_MS: Final = 25
"""Between two starts on a loop that has nothing to do."""
_LATE_GAP_MS: Final = 100
"""At least that, while the loop is late."""
_FULL: Final = 0.7
"""The part of a core that the loop's thread may want: beyond it, one block in a hundred is more
than 20 ms late."""
_YOUNG_MS: Final = 3000
"""What a session costs is not seen before."""
_UNKNOWN_COST: Final = 0.08
"""The part of a core that one is taken to cost before any was seen."""
_LEAST_COST: Final = 0.005
_FEWEST: Final = 4
"""Of fewer sessions nothing is learnt."""
_RISING: Final = 0.3
_FALLING: Final = 0.03
_LONGEST_MS: Final = 3000
"""Who would have to wait for longer is refused."""
_LOOK_MS: Final = 100


class _Beat(NamedTuple):
    at_ms: float
    late_ms: float
    worked_ms: float


class StartPace:
    """Looks at the last second of a process. Pure: ``now_ms`` is monotonic milliseconds.

    What the thread wants of a processor decides; a loop that is late only slows starts down, for a
    bot that loads its models makes it late, too.

    Args:
        max_late_ms: How late the loop may be; 0 = there is no pace.
        sessions: How many there are.
    """

    def __init__(self, max_late_ms: int, sessions: Callable[[], int]) -> None:
        self._max_late_ms = max_late_ms
        self._sessions = sessions
        self._cost = _UNKNOWN_COST
        self._young: deque[float] = deque()
        self._beats: deque[_Beat] = deque()
        self._started_ms: float | None = None

    def beat(self, now_ms: float, *, late_ms: float, worked_ms: float) -> None:
        """The loop woke up, ten times a second; as :meth:`..load.Load.beat`."""
        if not self._max_late_ms:
            return
        self._beats.append(_Beat(now_ms, late_ms, worked_ms))
        while len(self._beats) > 2 and now_ms - self._beats[1].at_ms >= _WINDOW_MS:
            self._beats.popleft()
        while self._young and now_ms - self._young[0] >= _YOUNG_MS:
            self._young.popleft()
        number = self._sessions()
        if not self._young and number >= _FEWEST:
            seen = max(_LEAST_COST, self._busy / number)
            self._cost += (seen - self._cost) * (_RISING if seen > self._cost else _FALLING)

    @property
    def gap_ms(self) -> float | None:
        """How far two starts are apart now; None = nobody may begin."""
        if not self._max_late_ms:
            return 0
        busy = self._busy
        if busy + (len(self._young) + 1) * self._cost > _FULL:
            return None
        gap_ms = _GAP_MS / (1 - busy) ** 2
        late = sum(beat.late_ms > self._max_late_ms for beat in self._beats)
        return max(gap_ms, _LATE_GAP_MS) if late > 1 else gap_ms

    @property
    def _busy(self) -> float:
        if len(self._beats) < 2:
            return 0.0
        first, last = self._beats[0], self._beats[-1]
        return (last.worked_ms - first.worked_ms) / (last.at_ms - first.at_ms)

    def wait_ms(self, now_ms: float) -> float | None:
        """How long until the next one may begin; 0 = now, None = nobody may."""
        gap_ms = self.gap_ms
        if gap_ms is None or self._started_ms is None:
            return gap_ms and 0
        return max(0.0, self._started_ms + gap_ms - now_ms)

    def started(self, now_ms: float) -> None:
        """One begins."""
        if self._max_late_ms:
            self._started_ms = now_ms
            self._young.append(now_ms)

    def take_back(self) -> None:
        """It did not, after all."""
        if self._young:
            self._young.pop()


class PacedStarts:
    """Those who wait for their turn to begin a session, in the order in which they came.

    Args:
        pace: Says when.
        clock: The clock to run by.
    """

    def __init__(self, pace: StartPace, clock: Clock) -> None:
        self._pace = pace
        self._clock = clock
        self._line = asyncio.Lock()
        self.waiting = 0
        """How many wait."""

    @property
    def is_due(self) -> bool:
        """True when somebody may begin now who has waited elsewhere."""
        return not self.waiting and not self._wait_ms()

    def begin(self) -> None:
        """He begins."""
        self._pace.started(self._clock.now_ms())

    def take_back(self) -> None:
        """Whoever began last was refused after all."""
        self._pace.take_back()

    async def turn(self) -> None:
        """Wait for it. Cancel-safe.

        Raises:
            BusyError: It would take longer than 3 s.
        """
        until_ms = self._clock.now_ms() + _LONGEST_MS
        if self._wait_ms() + self.waiting * (self._pace.gap_ms or 0) > _LONGEST_MS:
            raise BusyError
        self.waiting += 1
        try:
            async with self._line:
                await self._wait(until_ms)
                self._pace.started(self._clock.now_ms())
        finally:
            self.waiting -= 1

    async def _wait(self, until_ms: float) -> None:
        while wait_ms := self._wait_ms():
            if self._clock.now_ms() + min(wait_ms, _LOOK_MS) > until_ms:
                raise BusyError
            await asyncio.sleep(min(wait_ms, _LOOK_MS) / 1000)

    def _wait_ms(self) -> float:
        wait_ms = self._pace.wait_ms(self._clock.now_ms())
        return _LOOK_MS if wait_ms is None else wait_ms
