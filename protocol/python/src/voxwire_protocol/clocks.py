"""The clock that a program runs by: the machine's in production, a virtual one in tests.

Whatever judges moments takes a :class:`Clock` in its constructor and never asks the machine, so
that a test can let an hour pass in a moment (:mod:`voxwire_protocol.virtual_time`).
"""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

__all__ = ["SYSTEM_CLOCK", "Clock", "SystemClock", "Timer"]


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
    """The machine's monotonic clock, and the timers of the running asyncio loop."""

    def now_ms(self) -> float:
        """Monotonic time, milliseconds."""
        return time.monotonic() * 1000

    def call_later(self, delay_ms: float, work: Callable[[], object]) -> Timer:
        """Have ``work`` called by the running event loop after ``delay_ms``."""
        return asyncio.get_running_loop().call_later(max(0.0, delay_ms) / 1000, work)


SYSTEM_CLOCK = SystemClock()
"""The clock to use where nobody gives another."""
