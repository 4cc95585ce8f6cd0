"""No control channel: a session whose client is a telephone, with nothing but sound behind it."""

from collections.abc import Callable

from voxwire_protocol import wire
from voxwire_protocol.clocks import SYSTEM_CLOCK, Clock
from voxwire_server.ports import Inbox

__all__ = ["NoChannel"]


class NoChannel:
    """A :class:`~voxwire_server.ports.ControlChannel` with nobody who reads it.

    What is sent goes nowhere, and nothing is missed when nothing comes: whether the caller is
    still there is known to the media path alone.

    Args:
        clock: The clock to run by.
        hang_up: Called once, with a WebSocket close code and a reason, when the session is over.
    """

    def __init__(
        self,
        *,
        clock: Clock = SYSTEM_CLOCK,
        hang_up: Callable[[int, str], object] | None = None,
    ) -> None:
        self._clock = clock
        self._hang_up = hang_up
        self._closed = False

    @property
    def features(self) -> frozenset["wire.Feature"]:
        """None: nobody is told anything."""
        return frozenset()

    @property
    def last_sign_ms(self) -> float:
        """Now: silence means nothing."""
        return self._clock.now_ms()

    @property
    def attached(self) -> bool:
        """True until it is closed: a session does not wait for anybody to come back."""
        return not self._closed

    @property
    def overflowing(self) -> bool:
        """Never: nothing waits."""
        return False

    def begin(self, inbox: Inbox) -> None:
        """Nothing will come."""

    def send(self, envelope: wire.Envelope) -> None:
        """Forget it."""

    def close(self, code: int, reason: str, *, gone: bool = False) -> None:
        """Nothing carries it."""
        if not self._closed and self._hang_up is not None:
            self._hang_up(code, reason)
        self._closed = True
