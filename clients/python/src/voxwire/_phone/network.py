"""A network between a vendor and a server: late, unevenly so, in order, and now and then lossy."""

import random
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from voxwire_protocol.clocks import Clock, Timer

__all__ = ["Network"]

_AGAIN_MS: Final = 200.0
"""What TCP waits at least before it sends again (RFC 6298 says a second, Linux 200 ms)."""


class Network:
    """One direction of a TCP connection.

    Args:
        clock: The clock to run by.
        deliver: Takes what arrives.
        delay_ms: How late everything is at least, milliseconds.
        jitter_ms: How much later it may be.
        loss: Share of what is sent that TCP has to send again, and all behind it waits for; 0 to 1.
        seed: Of the jitter and the loss.
    """

    def __init__(
        self,
        clock: Clock,
        deliver: Callable[[Any], object],
        *,
        delay_ms: float = 0.0,
        jitter_ms: float = 0.0,
        loss: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.delay_ms = delay_ms
        self._clock = clock
        self._deliver = deliver
        self._jitter_ms = jitter_ms
        self._loss = loss
        self._random = random.Random(seed)
        self._under_way: deque[tuple[float, Any]] = deque()
        self._last_ms = 0.0
        self._timer: Timer | None = None

    def send(self, item: Any) -> None:
        """Have it arrive later."""
        due = self._clock.now_ms() + self.delay_ms + self._random.random() * self._jitter_ms
        if self._loss and self._random.random() < self._loss:
            due += max(_AGAIN_MS, 2 * self.delay_ms)
        self._last_ms = max(self._last_ms, due)
        self._under_way.append((self._last_ms, item))
        if self._timer is None:
            self._wait()

    def _wait(self) -> None:
        delay_ms = self._under_way[0][0] - self._clock.now_ms()
        self._timer = self._clock.call_later(max(0.0, delay_ms), self._arrive)

    def _arrive(self) -> None:
        self._timer = None
        while self._under_way and self._under_way[0][0] <= self._clock.now_ms() + 0.001:
            self._deliver(self._under_way.popleft()[1])
        if self._under_way and self._timer is None:
            self._wait()

    def close(self) -> None:
        """Lose what is under way."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._under_way.clear()
