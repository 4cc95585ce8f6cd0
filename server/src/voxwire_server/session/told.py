"""Who is told what the sessions of a process do: figures are made of it."""

from typing import Protocol

from voxwire_protocol import wire
from voxwire_server.caps import Amounts

__all__ = ["NOBODY", "Told"]


class Told(Protocol):
    """Is told of every session, in the event loop; it must not block."""

    def begun(self, session_id: str) -> None:
        """A session has begun."""
        ...

    def sent(self, session_id: str, envelope: wire.Envelope) -> None:
        """It has told its client something."""
        ...

    def over(self, session_id: str, dropped: dict[str, int]) -> None:
        """It ends; what of its client's was dropped, by kind."""
        ...

    def refused(self, code: int) -> None:
        """Somebody was put on no session, for that error."""
        ...

    def spent(self, amounts: Amounts) -> None:
        """A session has spent something."""
        ...

    def capped(self, name: str, *, at_start: bool) -> None:
        """A session did not begin, or has to end, because that is used up for the day."""
        ...

    def late(self, late_ms: float) -> None:
        """One of its timers, or a block over WebRTC, was so late: an audio block, nearly always."""
        ...


class _Nobody:
    def begun(self, session_id: str) -> None:
        pass

    def sent(self, session_id: str, envelope: wire.Envelope) -> None:
        pass

    def over(self, session_id: str, dropped: dict[str, int]) -> None:
        pass

    def refused(self, code: int) -> None:
        pass

    def spent(self, amounts: Amounts) -> None:
        pass

    def capped(self, name: str, *, at_start: bool) -> None:
        pass

    def late(self, late_ms: float) -> None:
        pass


NOBODY: Told = _Nobody()
"""Nobody is."""
