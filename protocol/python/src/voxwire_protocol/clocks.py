"""The clock that a program runs by: the machine's in production, a virtual one in tests.

Whatever judges moments takes a :class:`Clock` in its constructor and never asks the machine, so
that a test can let an hour pass in a moment (:mod:`voxwire_protocol.virtual_time`).
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol

__all__ = ["SYSTEM_CLOCK", "Clock", "SystemClock", "Timer"]

_EARLY_S: Final = 0.000_05
"""An asyncio loop may be this early."""

_AGAIN_S: Final = 0.001
"""The least that uvloop waits for."""


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Let it not come. Nothing when it has come, or was cancelled."""
        ...


class Clock(Protocol):
    """Tells the time, and calls back."""

    def now_ms(self) -> float:
        """Monotonic time, milliseconds; only differences mean something."""
        ...

    def call_later(self, delay_ms: float, work: Callable[[], object]) -> Timer:
        """Have ``work`` called by the running event loop after ``delay_ms``."""
        ...


class SystemClock:
    """The machine's monotonic clock, and timers of the running loop that never come early.

    Not the loop's own clock: that of uvloop, which the server runs on, counts whole milliseconds
    and stands still within a turn, and its timers come up to 2 ms early.
    """

    def now_ms(self) -> float:
        """Monotonic time, milliseconds."""
        return time.monotonic() * 1000

    def call_later(self, delay_ms: float, work: Callable[[], object]) -> Timer:
        """Have ``work`` called by the running event loop after ``delay_ms``."""
        return _LoopTimer(max(0.0, delay_ms) / 1000, work)


class _LoopTimer:
    """A timer of the running loop that is set again when it comes early."""

    __slots__ = ("_due", "_handle", "_loop", "_work")

    def __init__(self, delay_s: float, work: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._work = work
        self._due = time.monotonic() + delay_s
        self._handle = self._loop.call_later(delay_s, self._ring)

    def cancel(self) -> None:
        self._handle.cancel()

    def _ring(self) -> None:
        left_s = self._due - time.monotonic()
        if left_s > _EARLY_S:
            self._handle = self._loop.call_later(max(left_s, _AGAIN_S), self._ring)
        else:
            self._work()


SYSTEM_CLOCK = SystemClock()
"""The clock to use where nobody gives another."""
