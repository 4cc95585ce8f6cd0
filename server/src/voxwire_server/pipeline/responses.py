"""What a model writes, as the client is told: one response with a start, text and an end."""

from collections.abc import Callable
from typing import Final

from voxwire_protocol import wire
from voxwire_protocol.clocks import Timer
from voxwire_server.ports import SessionPort

__all__ = ["Responses"]

ENDLESS_MS: Final = 2000
"""How long a response without a start may pause before it has ended."""


class Responses:
    """The responses of one session.

    Args:
        port: The session to tell.
        ended: Called when a response that nobody ends has ended.
        owed: Whether a voice has yet to say a part of it: it has not ended meanwhile.
        over: Whether the session is over.
        mark: What their ids end with.
    """

    def __init__(
        self,
        port: SessionPort,
        *,
        ended: Callable[[], None],
        owed: Callable[[], bool],
        over: Callable[[], bool],
        mark: str = "",
    ) -> None:
        self._mark = mark
        self._port = port
        self._ended = ended
        self._owed = owed
        self._over = over
        self._number = 0
        self._timer: Timer | None = None
        self.open = False
        """Whether a response has begun and not ended."""

    @property
    def response_id(self) -> str:
        """The response that runs, or ran last."""
        return f"r{self._number}{self._mark}"

    def start(self, turn_id: str, *, endless: bool = False) -> None:
        """A response begins; with ``endless`` nobody will say its end."""
        self._stop_timer()
        self._number += 1
        self.open = True
        started = wire.ResponseStarted(response_id=self.response_id, turn_id=turn_id)
        self._port.emit(response_started=started)
        if endless:
            self._restart_timer()

    def text(self, text: str) -> None:
        """The response that is open goes on."""
        if self._timer is not None:
            self._restart_timer()
        self._port.emit(response_text=wire.ResponseText(response_id=self.response_id, text=text))

    def end(self) -> None:
        """The response is complete, or was cut; nothing when none is open."""
        self._stop_timer()
        if self.open:
            self.open = False
            self._port.emit(response_ended=wire.ResponseEnded(response_id=self.response_id))

    def _restart_timer(self) -> None:
        self._stop_timer()
        self._timer = self._port.clock.call_later(ENDLESS_MS, self._no_more)

    def _no_more(self) -> None:
        self._timer = None
        if not self.open or self._over():
            return
        if self._owed():
            self._restart_timer()
        else:
            self.end()
            self._ended()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
