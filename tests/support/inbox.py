"""A session as its control channel sees it: it notes what it is told. And a socket below one."""

from typing import Any

from tests.support.session_port import FakePort
from voxwire_protocol import wire
from voxwire_server.lifecycle import Event, Life


class FakeInbox(FakePort):
    """A :class:`voxwire_server.ports.Inbox` without a session.

    Attributes:
        messages: What was delivered.
        told: Everything else, in order: ``alive``, ``overrun``, ``lost 12.0``, ``back None``.
        state: The snapshot that it gives.
    """

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[wire.Envelope] = []
        self.told: list[str] = []
        self.state = wire.Snapshot(user_muted=True)
        self.life = Life()

    def message(self, message: wire.Envelope) -> None:
        self.messages.append(message)

    def alive(self) -> None:
        self.told.append("alive")

    def overrun(self) -> None:
        self.told.append("overrun")

    def lost(self, since_ms: float, *, silent: bool = False) -> None:
        self.life.on(Event.SILENT if silent else Event.LOST)
        self.told.append(f"lost {since_ms}")

    def back(self, since_ms: float | None) -> None:
        self.told.append(f"back {since_ms}")

    def snapshot(self, max_bytes: int) -> wire.Snapshot:
        return self.state

    @property
    def kinds(self) -> list[str]:
        """The payloads of what was delivered, oldest first."""
        return [str(message.WhichOneof("payload")) for message in self.messages]


class FakeLink:
    """A :class:`voxwire_server.control.link.ControlLink` without a socket.

    Attributes:
        sent: What was written on it.
        closed: Code and reason, once it was closed.
        given_up: Whether its other side was taken for gone.
        overflowing: Set it, and the other side has stopped reading.
        unanswered: Whether a ping waits for its answer.
    """

    def __init__(self) -> None:
        self.sent: list[wire.Envelope] = []
        self.closed: tuple[int, str] | None = None
        self.given_up = False
        self.overflowing = False
        self.unanswered = False
        self.held_back_at_ms: float | None = None

    def send_event(self, data: bytes) -> None:
        self.sent.append(wire.Envelope.FromString(data))

    def close(self, code: int, reason: str) -> None:
        self.closed = code, reason

    def give_up(self, code: int, reason: str) -> None:
        self.given_up = True
        self.close(code, reason)

    def pinged(self, now_ms: float) -> None:
        self.unanswered = True

    def answered(self) -> None:
        self.unanswered = False

    def held_back(self, now_ms: float) -> None:
        self.held_back_at_ms = now_ms

    def of(self, kind: str) -> list[Any]:
        """What was written of one kind, oldest first."""
        return [getattr(e, kind) for e in self.sent if e.WhichOneof("payload") == kind]

    @property
    def kinds(self) -> list[str]:
        """The payloads of what was written, oldest first."""
        return [str(envelope.WhichOneof("payload")) for envelope in self.sent]
