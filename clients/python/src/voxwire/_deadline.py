"""How long a session may take until it is up; while it waits for a place another time runs."""

import asyncio
from collections.abc import Callable

from voxwire_protocol import wire
from voxwire_protocol.clocks import Clock
from voxwire_protocol.events import Waiting

__all__ = ["Deadline", "OnWaiting"]

OnWaiting = Callable[[Waiting], object]
"""Is told where the session is in the server's line."""


class Deadline:
    """The deadline of a session that is being opened.

    It stands still while the server has the client wait. All of that together has a bound of its
    own.

    Args:
        clock: Tells the time.
        waiting_ms: How long it may wait for a place in all; 0 = not at all.
        told: Is told where it is, whenever that is new.
    """

    def __init__(
        self, clock: Clock, *, waiting_ms: float = 0, told: OnWaiting | None = None
    ) -> None:
        self._clock = clock
        self._told = told
        self._deadline_ms = 0.0
        self._waiting_left_ms = waiting_ms
        self._since_ms: float | None = None
        self._limit: asyncio.Timeout | None = None
        self._trouble: Exception | None = None
        self.place: Waiting | None = None
        """Where it was told to be last; None = it waits for no place."""

    def begin(self, timeout_ms: float) -> None:
        """From here on it may take so long."""
        self._deadline_ms = self._clock.now_ms() + timeout_ms

    @property
    def left_ms(self) -> float:
        """How long it may still take, the wait for a place apart."""
        now_ms = self._clock.now_ms() if self._since_ms is None else self._since_ms
        return self._deadline_ms - now_ms

    def waits(self, message: wire.Waiting) -> None:
        """The server has it wait: time stands still."""
        if self._since_ms is None:
            self._since_ms = self._clock.now_ms()
        place = Waiting(message.position, message.estimated_ms)
        if place != self.place:
            self.place = place
            self._tell(place)
        self._set_limit()

    def _tell(self, place: Waiting) -> None:
        if self._told is None:
            return
        try:
            self._told(place)
        except Exception as error:  # it is raised where the session is waited for
            self._trouble = error

    def goes_on(self) -> None:
        """The wait is over, however: time runs again. Nothing when there was none."""
        if self._since_ms is None:
            return
        waited_ms = self._clock.now_ms() - self._since_ms
        self._since_ms = self.place = None
        self._deadline_ms += waited_ms
        self._waiting_left_ms -= waited_ms
        self._set_limit()

    async def wait(self, done: asyncio.Event) -> None:
        """Waits until something is done. Cancel-safe.

        Raises:
            TimeoutError: It took too long; `place` says whether a place was waited for.
            Exception: What `told` raised.
        """
        try:
            async with asyncio.timeout(None) as self._limit:
                self._set_limit()
                await done.wait()
        except TimeoutError:
            if self._trouble is not None:
                raise self._trouble from None
            raise
        finally:
            self._limit = None

    def _set_limit(self) -> None:
        if self._limit is not None and not self._limit.expired():
            left_ms = 0.0 if self._trouble is not None else max(0.0, self._left_now_ms())
            self._limit.reschedule(asyncio.get_running_loop().time() + left_ms / 1000)

    def _left_now_ms(self) -> float:
        if self._since_ms is None:
            return self.left_ms
        return self._waiting_left_ms - (self._clock.now_ms() - self._since_ms)
