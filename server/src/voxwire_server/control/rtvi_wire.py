"""What carries RTVI messages to one client, and what a channel on it needs of its session."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from voxwire_protocol import rtvi
from voxwire_server.sent_files import Acceptance, FileRefusal

__all__ = ["RtviWire", "Surroundings"]


class RtviWire(Protocol):
    """What carries RTVI messages to one client, and is gone one day."""

    @property
    def answers_pings(self) -> bool:
        """Whether something comes back for every :meth:`ping`."""
        ...

    @property
    def overflowing(self) -> bool:
        """Whether the client has stopped reading."""
        ...

    @property
    def max_bytes(self) -> int:
        """Longest message, UTF-8."""
        ...

    def send(self, text: str) -> None:
        """Send the JSON text of one message. Never blocks."""
        ...

    def undelivered(self) -> list[str]:
        """What was sent and may not have come, oldest first; nothing where none can be told."""
        ...

    def over(self) -> None:
        """The session is over: tell the client, where there is a way to."""
        ...

    def ping(self) -> None:
        """Ask for a sign of life."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Close it, behind everything that was sent."""
        ...

    def give_up(self, code: int, reason: str) -> None:
        """Close it; the other side is taken for gone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the channel needs of the session whose client it speaks with.

    Attributes:
        when_heard: Calls when the listener has heard so far, milliseconds of the media clock.
        answers: Whether the bot answers requests of that type.
        hear: Takes the user's audio that comes as messages.
        busy: Whether somebody speaks, or an answer is owed or on its way to the ear.
        client_tools: Names of the tools that the client runs.
        accepts: What the bot takes of files.
        send_file: Hands a file of the client to the bot; why not, if it does not.
    """

    when_heard: Callable[[float, Callable[[], object]], None]
    answers: Callable[[str], bool]
    hear: Callable[[rtvi.RawAudio], None]
    busy: Callable[[], bool]
    client_tools: Callable[[], Collection[str]]
    accepts: Acceptance
    send_file: Callable[[rtvi.SendFile], FileRefusal | None]
