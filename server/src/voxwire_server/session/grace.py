"""How long a session waits for a client whose control channel is lost."""

from collections.abc import Callable

from voxwire_protocol.clocks import Clock, Timer

__all__ = ["Grace"]


class Grace:
    """The timer of a parked session.

    Args:
        clock: The session's clock.
        grace_ms: How long it waits.
        over: Called when nobody came back in time.
    """

    def __init__(self, clock: Clock, *, grace_ms: int, over: Callable[[], None]) -> None:
        self._clock = clock
        self._grace_ms = grace_ms
        self._over = over
        self._timer: Timer | None = None

    def start(self) -> None:
        """The control channel is lost."""
        self.stop()
        self._timer = self._clock.call_later(self._grace_ms, self._expire)

    def stop(self) -> None:
        """The session is over. That somebody came back, the table knows."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        self._over()
