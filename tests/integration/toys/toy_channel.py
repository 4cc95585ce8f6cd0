"""A control channel in memory: keeps what its client is sent, and says what a test says."""

from voxwire.testing import running_clock
from voxwire_server.ports import Inbox, wire


class ToyChannel:
    """A `ControlChannel` whose client reads at once and is never silent."""

    attached, overflowing = True, False

    def __init__(self, features: frozenset[wire.Feature]) -> None:
        self.features = features
        self.sent: list[wire.Envelope] = []
        self.closed: tuple[int, str] | None = None
        self._clock = running_clock()

    @property
    def last_sign_ms(self) -> float:
        return self._clock.now_ms()

    def begin(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def send(self, envelope: wire.Envelope) -> None:
        self.sent.append(envelope)

    def close(self, code: int, reason: str, *, gone: bool = False) -> None:
        self.attached, self.closed = False, (code, reason)
        if gone:
            self._inbox.lost(self.last_sign_ms)

    def text(self, text: str) -> None:
        """Have the user type."""
        self._say(send_text=wire.SendText(text=text))

    def interrupt(self) -> None:
        """Have the user cut the bot off."""
        self._say(interrupt=wire.Interrupt())

    def bye(self) -> None:
        """Have the user leave."""
        self._say(bye=wire.Bye())

    def _say(self, **payload: object) -> None:
        self._inbox.alive()
        self._inbox.message(wire.Envelope(**payload))
